//! The format of a file, from its first bytes; names and content types are not trusted.
use super::ImageError;
use std::fmt;

/// A format that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFormat {
    Png,
    Jpeg,
    Webp,
}

impl fmt::Display for SourceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
        })
    }
}

/// What else is recognised, only to be named in the error: `(offset, magic, name)`.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\x01\0", "an icon (ICO)"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"RIFF", "a RIFF file that is not WebP"),
];

/// Beginnings of text, compared in lower case after white space.
const TEXTS: &[(&[u8], &str)] = &[
    (b"<svg", "SVG"),
    (b"<?xml", "XML or SVG"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"{", "JSON"),
    (b"data:", "a data URI, still encoded"),
    (b"http", "a link"),
];

/// Names the format of `bytes`, or says what they look like instead.
pub(super) fn sniff(bytes: &[u8]) -> Result<SourceFormat, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.starts_with(b"\x89PNG") {
        return Ok(SourceFormat::Png);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(SourceFormat::Jpeg);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(SourceFormat::Webp);
    }
    let found = named(bytes).or_else(|| text(bytes));
    Err(ImageError::UnknownFormat {
        found: found.unwrap_or("no picture format that is known"),
    })
}

fn named(bytes: &[u8]) -> Option<&'static str> {
    let found = OTHERS.iter().find(|(offset, magic, _)| {
        bytes
            .get(*offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    });
    found.map(|(_, _, name)| *name)
}

fn text(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.trim_ascii_start();
    let lower = start[..start.len().min(16)].to_ascii_lowercase();
    let found = TEXTS.iter().find(|(begin, _)| lower.starts_with(begin));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_refuses() {
        for (bytes, name) in [
            (&b"GIF89a"[..], "GIF"),
            (b"BM\x36\0\0\0", "BMP"),
            (b"II*\0\x08\0", "TIFF"),
            (b"\0\0\0\x20ftypavif", "AVIF"),
            (b"\0\0\0\x20ftypheic", "HEIC"),
            (b"\0\0\0\x20ftypisom", "a video"),
            (b"\xef\xbb\xbf\n <SVG xmlns", "SVG"),
            (b"<!DOCTYPE html><p>", "HTML"),
            (b"data:image/png;base64,", "a data URI, still encoded"),
            (b"RIFF\0\0\0\0WAVE", "a RIFF file that is not WebP"),
            (b"\x89PN", "no picture format that is known"),
        ] {
            let error = sniff(bytes).unwrap_err();
            assert!(
                matches!(&error, ImageError::UnknownFormat { found } if *found == name),
                "{error}"
            );
        }
        assert!(matches!(sniff(b""), Err(ImageError::Empty)));
    }

    #[test]
    fn knows_the_three_formats() {
        assert_eq!(sniff(b"\x89PNG\r\n").unwrap(), SourceFormat::Png);
        assert_eq!(sniff(b"\xff\xd8\xff\xe0").unwrap(), SourceFormat::Jpeg);
        assert_eq!(
            sniff(b"RIFF\x01\0\0\0WEBPVP8 ").unwrap(),
            SourceFormat::Webp
        );
    }
}
