//! RGB bytes to the models' pixels and back.
use super::ImageError;
use candle_core::{DType, Device, Tensor};
use image::RgbImage;

/// `image` as pixels `[1, 3, H, W]` in [-1, 1], f32: `x / 255 * 2 - 1`.
///
/// # Errors
/// The device cannot hold it.
pub fn to_pixels(image: &RgbImage, device: &Device) -> candle_core::Result<Tensor> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples = image.as_raw();
    let mut planes = Vec::with_capacity(samples.len());
    for channel in 0..3 {
        let plane = samples.iter().skip(channel).step_by(3);
        planes.extend(plane.map(|byte| f32::from(*byte) / 255.0 * 2.0 - 1.0));
    }
    Tensor::from_vec(planes, (1, 3, height, width), device)
}

/// Pixels `[B, 3, H, W]` as images: `clamp(round_half_even((x + 1) * 127.5), 0, 255)`.
///
/// # Errors
/// Another shape, or a value that is not finite.
pub fn from_pixels(pixels: &Tensor) -> Result<Vec<RgbImage>, ImageError> {
    let (batch, channels, height, width) = pixels.dims4()?;
    if channels != 3 {
        let found = format!("pixels [B, 3, H, W] expected, found {:?}", pixels.shape());
        return Err(candle_core::Error::Msg(found).into());
    }
    let rows = pixels.to_dtype(DType::F32)?.permute((0, 2, 3, 1))?;
    let samples = rows
        .reshape((batch, height * width * 3))?
        .to_vec2::<f32>()?;
    samples
        .into_iter()
        .map(|samples| {
            if !samples.iter().all(|sample| sample.is_finite()) {
                return Err(ImageError::NotFinite);
            }
            let bytes = samples.into_iter().map(to_byte).collect();
            let image = RgbImage::from_raw(width as u32, height as u32, bytes);
            Ok(image.expect("3 samples a pixel"))
        })
        .collect()
}

fn to_byte(sample: f32) -> u8 {
    ((sample + 1.0) * 127.5).round_ties_even().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let image = RgbImage::from_fn(32, 8, |x, y| {
            let byte = (y * 32 + x) as u8;
            image::Rgb([byte, 255 - byte, byte.rotate_left(3)])
        });
        let pixels = to_pixels(&image, &Device::Cpu).unwrap();
        assert_eq!(pixels.dims(), [1, 3, 8, 32]);
        let red = pixels
            .get(0)
            .unwrap()
            .get(0)
            .unwrap()
            .flatten_all()
            .unwrap();
        assert_eq!(red.to_vec1::<f32>().unwrap()[255], 1.0);
        assert_eq!(from_pixels(&pixels).unwrap(), [image]);
    }

    #[test]
    fn halves_go_to_even_and_the_rest_is_clamped() {
        // Samples whose level is a half exactly in f32: 76.5, 126.5, 127.5, 161.5 and 162.5.
        let halves = [-0.4, -0.007_843_14, 0.0, 0.266_666_6, 0.274_509_76];
        assert_eq!(halves.map(to_byte), [76, 126, 128, 162, 162]);
        assert_eq!([-7.0, 7.0].map(to_byte), [0, 255]);
    }

    #[test]
    fn a_batch_is_taken_apart_in_order() {
        let samples: Vec<f32> = (0..2 * 3 * 2)
            .map(|i| i as f32 * 2.0 / 255.0 - 1.0)
            .collect();
        let pixels = Tensor::from_vec(samples, (2, 3, 1, 2), &Device::Cpu).unwrap();
        let images = from_pixels(&pixels).unwrap();
        assert_eq!(images[0].as_raw(), &[0, 2, 4, 1, 3, 5]);
        assert_eq!(images[1].as_raw(), &[6, 8, 10, 7, 9, 11]);
    }

    #[test]
    fn refuses_what_is_no_picture() {
        let nan = Tensor::full(f32::NAN, (1, 3, 1, 1), &Device::Cpu).unwrap();
        assert!(matches!(from_pixels(&nan), Err(ImageError::NotFinite)));
        let four = Tensor::zeros((1, 4, 1, 1), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(from_pixels(&four), Err(ImageError::Tensor(_))));
    }
}
