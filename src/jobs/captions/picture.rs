//! A picture as it is sent to the model: small, and in a format that every server reads.
use base64::{Engine, engine::general_purpose::STANDARD};

use super::error::CaptionError;
use crate::pipelines::image::{ImageLimits, OutputFormat, decode, encode, resize_lanczos};

/// Longest side; models that see pictures look at no more, and each pixel costs.
const MAX_SIDE_PX: u32 = 1024;
const FORMAT: OutputFormat = OutputFormat::Jpeg { quality: 90 };

/// `data:image/jpeg;base64,..` of a picture file.
///
/// # Errors
/// [`CaptionError::Picture`].
pub fn data_uri(file: &[u8], limits: &ImageLimits) -> Result<String, CaptionError> {
    let unfit = |error: &dyn std::error::Error| {
        tracing::warn!(%error, "a picture could not be prepared for the caption model");
        CaptionError::Picture
    };
    let picture = decode(file, limits).map_err(|error| unfit(&error))?.rgb;
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    let picture = match longest > MAX_SIDE_PX {
        false => picture,
        true => {
            // at most the side itself, so it fits again
            let scaled = |side: u32| {
                let side = u64::from(side) * u64::from(MAX_SIDE_PX) / u64::from(longest);
                (side as u32).max(1)
            };
            resize_lanczos(&picture, (scaled(width), scaled(height)))
        }
    };
    let jpeg = encode(&picture, &FORMAT).map_err(|error| unfit(&error))?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::image::RgbImage;

    #[test]
    fn large_pictures_are_sent_small() {
        let picture = RgbImage::from_pixel(2048, 2, image::Rgb([9; 3]));
        let file = encode(&picture, &OutputFormat::Webp).unwrap();
        let uri = data_uri(&file, &ImageLimits::default()).unwrap();
        let jpeg = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
        let jpeg = STANDARD.decode(jpeg).unwrap();
        let sent = decode(&jpeg, &ImageLimits::default()).unwrap().rgb;
        assert_eq!(sent.dimensions(), (1024, 1));
        let error = data_uri(b"no picture", &ImageLimits::default());
        assert_eq!(error, Err(CaptionError::Picture));
    }
}
