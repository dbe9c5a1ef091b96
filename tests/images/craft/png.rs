//! PNG files, down to the deflate stream.

/// Color types of the header.
pub const GRAY: u8 = 0;
pub const RGB: u8 = 2;
pub const PALETTE: u8 = 3;
pub const GRAY_ALPHA: u8 = 4;
pub const RGBA: u8 = 6;

pub struct Png {
    header: Vec<u8>,
    chunks: Vec<u8>,
}

impl Png {
    pub fn new(width: u32, height: u32, depth: u8, color: u8) -> Self {
        let mut header = Vec::new();
        header.extend_from_slice(&width.to_be_bytes());
        header.extend_from_slice(&height.to_be_bytes());
        header.extend_from_slice(&[depth, color, 0, 0, 0]);
        Self {
            header,
            chunks: Vec::new(),
        }
    }

    pub fn chunk(mut self, kind: &[u8; 4], data: &[u8]) -> Self {
        push_chunk(&mut self.chunks, kind, data);
        self
    }

    /// The picture: rows that each start with filter byte 0.
    pub fn rows(self, rows: &[&[u8]]) -> Self {
        let raw: Vec<u8> = rows.iter().flat_map(|row| [&[0], *row].concat()).collect();
        self.chunk(b"IDAT", &stored(&raw))
    }

    pub fn file(self) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        push_chunk(&mut file, b"IHDR", &self.header);
        file.extend_from_slice(&self.chunks);
        push_chunk(&mut file, b"IEND", &[]);
        file
    }
}

/// An `iCCP` chunk's data around a zlib stream.
pub fn iccp(zlib: &[u8]) -> Vec<u8> {
    [b"profile\0\0", zlib].concat()
}

fn push_chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let crc = crc32(&out[start..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|byte| {
            (0..8).fold(byte, |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        })
        .collect();
    !bytes.iter().fold(!0, |crc, byte| {
        table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    })
}

/// zlib without compression.
pub fn stored(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = raw.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&(block.len() as u16).to_le_bytes());
        out.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for byte in raw {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    out.extend_from_slice(&((b << 16) | a).to_be_bytes());
    out
}

/// zlib stream of `1 + 258 * runs` zero bytes in 13 bits a run: a bomb.
pub fn zeros(runs: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b1, 1); // last block
    bits.push(0b01, 2); // fixed codes
    bits.code(0b0011_0000, 8); // literal 0
    for _ in 0..runs {
        bits.code(0b1100_0101, 8); // length 258
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // end of block
    let sum = (1 + 258 * runs as u64) % 65521;
    let adler = ((sum as u32) << 16) | 1;
    [&[0x78, 0x01][..], &bits.finish(), &adler.to_be_bytes()].concat()
}

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, bits: u32) {
        self.pending |= value << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Huffman codes are packed from their highest bit.
    fn code(&mut self, code: u32, bits: u32) {
        self.push(code.reverse_bits() >> (32 - bits), bits);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.out
    }
}
