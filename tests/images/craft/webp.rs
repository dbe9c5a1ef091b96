//! WebP containers around a picture that the encoder wrote.

const ANIMATED: u8 = 1 << 1;
const EXIF: u8 = 1 << 3;

/// `file` (a plain lossless WebP) with EXIF data.
pub fn with_exif(file: &[u8], exif: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let body = [
        extended(EXIF, (width, height)),
        file[12..].to_vec(),
        chunk(b"EXIF", exif),
    ];
    riff(&body.concat())
}

/// An animation of two frames, both the picture of `file`.
pub fn animated(file: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let mut frame = vec![0; 6];
    frame.extend_from_slice(&size(width, height));
    frame.extend_from_slice(&[100, 0, 0, 0]);
    frame.extend_from_slice(&file[12..]);
    let body = [
        extended(ANIMATED, (width, height)),
        chunk(b"ANIM", &[0; 6]),
        chunk(b"ANMF", &frame),
        chunk(b"ANMF", &frame),
    ];
    riff(&body.concat())
}

fn extended(flags: u8, (width, height): (u32, u32)) -> Vec<u8> {
    let mut data = vec![flags, 0, 0, 0];
    data.extend_from_slice(&size(width, height));
    chunk(b"VP8X", &data)
}

/// Two 24-bit numbers, each one less than the side.
fn size(width: u32, height: u32) -> Vec<u8> {
    [
        &(width - 1).to_le_bytes()[..3],
        &(height - 1).to_le_bytes()[..3],
    ]
    .concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = kind.to_vec();
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn riff(body: &[u8]) -> Vec<u8> {
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&(body.len() as u32 + 4).to_le_bytes());
    out.extend_from_slice(b"WEBP");
    out.extend_from_slice(body);
    out
}
