//! Baseline JPEG files of one flat colour: one coefficient a block, and the simplest tables.

/// What the components mean, as the Adobe marker says.
#[derive(Clone, Copy)]
pub enum Marker {
    None,
    Adobe { transform: u8 },
}

/// A file of `width` x `height` pixels in which component `i` is `levels[i]` everywhere.
pub fn flat((width, height): (u16, u16), levels: &[u8], marker: Marker) -> Vec<u8> {
    let mut file = header((width, height), levels.len() as u8, marker);
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    let mut bits = Bits::default();
    for block in 0..blocks {
        for level in levels {
            // The mean of a block is an eighth of its first coefficient; later ones are differences.
            let difference = if block == 0 {
                (i32::from(*level) - 128) * 8
            } else {
                0
            };
            bits.difference(difference);
            bits.push(0, 1); // nothing but zeros follows
        }
    }
    file.extend_from_slice(&bits.finish());
    file.extend_from_slice(&[0xff, 0xd9]);
    file
}

/// Everything up to the first block.
pub fn header((width, height): (u16, u16), components: u8, marker: Marker) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    if let Marker::Adobe { transform } = marker {
        segment(
            &mut file,
            0xee,
            &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat(),
        );
    }
    segment(&mut file, 0xdb, &[&[0][..], &[1; 64]].concat());
    let mut frame = vec![8];
    frame.extend_from_slice(&height.to_be_bytes());
    frame.extend_from_slice(&width.to_be_bytes());
    frame.push(components);
    for id in 1..=components {
        frame.extend_from_slice(&[id, 0x11, 0]);
    }
    segment(&mut file, 0xc0, &frame);
    // First coefficients: 12 lengths, each in 4 bits. Others: "end of block" in 1 bit.
    let mut first = vec![0x00, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    first.extend(0..12);
    segment(&mut file, 0xc4, &first);
    let mut others = vec![0x10, 1];
    others.extend_from_slice(&[0; 15]);
    others.push(0);
    segment(&mut file, 0xc4, &others);
    let mut scan = vec![components];
    for id in 1..=components {
        scan.extend_from_slice(&[id, 0]);
    }
    scan.extend_from_slice(&[0, 63, 0]);
    segment(&mut file, 0xda, &scan);
    file
}

/// `file` with a segment right after its start, as writers put EXIF (0xe1) and ICC (0xe2) data.
pub fn with_segment(file: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let mut out = file[..2].to_vec();
    segment(&mut out, marker, data);
    out.extend_from_slice(&file[2..]);
    out
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend_from_slice(&[0xff, marker]);
    file.extend_from_slice(&(data.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(data);
}

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn difference(&mut self, value: i32) {
        let length = 32 - value.unsigned_abs().leading_zeros();
        self.push(length, 4);
        let bits = if value < 0 { value - 1 } else { value } as u32;
        self.push(bits & ((1 << length) - 1), length);
    }

    fn push(&mut self, value: u32, bits: u32) {
        self.pending = (self.pending << bits) | value;
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.pending >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0x7f, 7);
        self.out
    }
}
