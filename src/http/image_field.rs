//! The `image` of a JSON body: base64, alone or in a data URI, or a URL.
use base64::{
    DecodeError, Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Padding may be left out; many clients do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is not an image's bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageFieldError {
    #[error("is empty; send the image's bytes as base64")]
    Empty,
    #[error("is a URL, and none is fetched here; send the image's bytes as base64")]
    Url,
    #[error("is a data URI without `;base64,`; write it as data:image/png;base64,...")]
    NotBase64DataUri,
    #[error(
        "is not base64: {what} at character {position}; encode the file's bytes with the standard alphabet"
    )]
    Character { what: String, position: usize },
    #[error("is not base64: {what}; encode the whole file")]
    Base64 { what: DecodeError },
}

/// An image as a request has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    Bytes(Vec<u8>),
    /// Not fetched yet, and not yet said to be fetched at all.
    Url(String),
}

impl Default for ImageSource {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl ImageSource {
    /// What `text` stands for.
    pub fn of_text(text: &str) -> Result<Self, ImageFieldError> {
        match image_bytes(text) {
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(ImageFieldError::Url) => Ok(Self::Url(text.trim_ascii().to_owned())),
            Err(error) => Err(error),
        }
    }
}

/// The bytes that `text` stands for. The media type of a data URI is not trusted: the bytes are sniffed later.
pub fn image_bytes(text: &str) -> Result<Vec<u8>, ImageFieldError> {
    let encoded = payload(text.trim_ascii())?;
    // Line breaks are usual in base64 and may stand anywhere.
    let compact: Vec<u8>;
    let encoded = if encoded.bytes().any(|byte| byte.is_ascii_whitespace()) {
        compact = encoded
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        &compact
    } else {
        encoded.as_bytes()
    };
    if encoded.is_empty() {
        return Err(ImageFieldError::Empty);
    }
    BASE64.decode(encoded).map_err(|what| match what {
        DecodeError::InvalidByte(at, byte) => ImageFieldError::Character {
            what: format!("{:?}", char::from(byte)),
            position: at + 1,
        },
        DecodeError::InvalidLastSymbol { .. }
        | DecodeError::InvalidLength(_)
        | DecodeError::InvalidPadding => ImageFieldError::Base64 { what },
    })
}

/// The base64 part of a plain text or a data URI (RFC 2397).
fn payload(text: &str) -> Result<&str, ImageFieldError> {
    let scheme = |name: &str| {
        text.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    if scheme("http:") || scheme("https:") {
        return Err(ImageFieldError::Url);
    }
    if !scheme("data:") {
        return Ok(text);
    }
    let (head, data) = text
        .split_once(',')
        .ok_or(ImageFieldError::NotBase64DataUri)?;
    let is_base64 = head
        .rsplit(';')
        .next()
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    if head.contains(';') && is_base64 {
        Ok(data)
    } else {
        Err(ImageFieldError::NotBase64DataUri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_are_read() {
        for text in [
            "AQIDBA==",
            "AQIDBA",
            " AQID\r\nBA==\n",
            "data:image/png;base64,AQIDBA==",
            "DATA:;BASE64,AQIDBA==",
            "data:text/plain;charset=utf-8;base64,AQIDBA==",
        ] {
            assert_eq!(image_bytes(text), Ok(vec![1, 2, 3, 4]), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        assert_eq!(image_bytes(" "), Err(ImageFieldError::Empty));
        assert_eq!(
            image_bytes("data:image/png;base64,"),
            Err(ImageFieldError::Empty)
        );
        assert_eq!(image_bytes("HTTPS://host/a.png"), Err(ImageFieldError::Url));
        assert_eq!(
            image_bytes("data:image/png,AQID"),
            Err(ImageFieldError::NotBase64DataUri)
        );
        assert_eq!(
            image_bytes("data:base64"),
            Err(ImageFieldError::NotBase64DataUri)
        );
        assert!(matches!(
            image_bytes("AQI!BA=="),
            Err(ImageFieldError::Character { position: 4, .. })
        ));
        assert!(matches!(
            image_bytes("file:///etc/passwd"),
            Err(ImageFieldError::Character { position: 5, .. })
        ));
        assert!(matches!(
            image_bytes("A"),
            Err(ImageFieldError::Base64 { .. })
        ));
        assert!(image_bytes("\u{e9}\u{e9}\u{e9}").is_err());
    }
}
