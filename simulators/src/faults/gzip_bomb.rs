//! A gzip bomb: JSON with 32 MiB of spaces in it, packed into 400 KiB (RFC 1951, RFC 1952).
//!
//! The spaces are one block with fixed Huffman codes: one literal, then matches of 258 bytes at distance 1, 13 bits
//! each. The block starts and ends on a byte boundary, so it is packed once and shared; only what follows it differs.

use std::sync::LazyLock;

/// Bytes of one match, the most there are.
const MATCH: usize = 258;
/// Matches that unpack to 32 MiB.
const MATCHES: usize = (32 << 20) / MATCH;
/// Bytes that unpack before the rest: the brace and the spaces.
const PREFIX: usize = 1 + 1 + MATCHES * MATCH;

/// Method deflate, no flags, no time, system unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The packed prefix, and the checksum of what it unpacks to.
static PACKED_PREFIX: LazyLock<(Vec<u8>, Crc)> = LazyLock::new(packed_prefix);

static TABLE: [u32; 256] = table();

/// The running CRC-32 of RFC 1952.
#[derive(Clone, Copy)]
struct Crc(u32);

/// Writes bits into bytes, from the lowest bit of each byte to the highest.
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

// === impl Crc ===

impl Crc {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = TABLE[usize::from(low ^ byte)] ^ (self.0 >> 8);
        }
    }

    fn value(self) -> u32 {
        !self.0
    }
}

// === impl Bits ===

impl Bits {
    /// Appends a number, lowest bit first.
    fn number(&mut self, value: u32, width: u32) {
        self.pending |= value << self.count;
        self.count += width;
        while self.count >= 8 {
            let [low, ..] = self.pending.to_le_bytes();
            self.bytes.push(low);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Appends a Huffman code, highest bit first.
    fn code(&mut self, code: u32, width: u32) {
        self.number(code.reverse_bits() >> (32 - width), width);
    }

    /// The bytes; zeros fill the last one.
    fn into_bytes(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.number(0, 8 - self.count);
        }
        self.bytes
    }
}

/// Packs `{`, 32 MiB of spaces, and `rest`.
pub(super) fn pack(rest: &[u8]) -> Vec<u8> {
    let (mut packed, mut crc) = PACKED_PREFIX.clone();
    let pieces: Vec<&[u8]> = if rest.is_empty() { vec![b""] } else { rest.chunks(usize::from(u16::MAX)).collect() };
    for (index, piece) in pieces.iter().enumerate() {
        store(&mut packed, piece, index + 1 == pieces.len());
    }
    crc.add(rest);
    packed.extend(crc.value().to_le_bytes());
    // RFC 1952: the size modulo 2^32.
    let size = u32::try_from((PREFIX + rest.len()) & 0xffff_ffff).unwrap_or_default();
    packed.extend(size.to_le_bytes());
    packed
}

fn packed_prefix() -> (Vec<u8>, Crc) {
    let mut bytes = HEADER.to_vec();
    store(&mut bytes, b"{", false);
    let mut bits = Bits { bytes, pending: 0, count: 0 };
    // Not the last block; with fixed codes.
    bits.number(0, 1);
    bits.number(1, 2);
    // The literal ' ' is 0x30 + 0x20, the length 258 is code 285, the distance 1 is code 0.
    bits.code(0x50, 8);
    for _ in 0..MATCHES {
        bits.code(0xc5, 8);
        bits.code(0, 5);
    }
    // End of block, then an empty stored block, which ends on a byte boundary.
    bits.code(0, 7);
    bits.number(0, 3);
    let mut packed = bits.into_bytes();
    packed.extend([0, 0, 0xff, 0xff]);

    let mut crc = Crc(u32::MAX);
    crc.add(b"{");
    let spaces = [b' '; MATCH];
    (0..MATCHES).for_each(|_| crc.add(&spaces));
    crc.add(b" ");
    (packed, crc)
}

/// Appends a stored block, which starts on a byte boundary.
fn store(packed: &mut Vec<u8>, bytes: &[u8], is_last: bool) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    packed.push(u8::from(is_last));
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(&bytes[..usize::from(length)]);
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut value = 0_u32;
    while value < 256 {
        let (mut crc, mut bit) = (value, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[value as usize] = crc;
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unpacks what this file packs: stored blocks, and blocks with fixed codes of literals below 144 and matches of
    /// 258 bytes at distance 1.
    fn unpack(packed: &[u8]) -> Vec<u8> {
        let mut place = HEADER.len() * 8;
        let bit = |place: &mut usize| {
            let bit = packed[*place / 8] >> (*place % 8) & 1;
            *place += 1;
            u32::from(bit)
        };
        let mut out = Vec::new();
        loop {
            let is_last = bit(&mut place) == 1;
            let kind = bit(&mut place) | bit(&mut place) << 1;
            if kind == 0 {
                let start = place.div_ceil(8);
                let length = usize::from(u16::from_le_bytes([packed[start], packed[start + 1]]));
                assert_eq!([!packed[start], !packed[start + 1]], packed[start + 2..start + 4]);
                out.extend(&packed[start + 4..start + 4 + length]);
                place = (start + 4 + length) * 8;
            } else {
                loop {
                    let read = |place: &mut usize, width: u32| (0..width).fold(0, |code, _| code << 1 | bit(place));
                    let end = read(&mut place, 7);
                    if end == 0 {
                        break;
                    }
                    let code = end << 1 | bit(&mut place);
                    if code == 0xc5 {
                        assert_eq!(read(&mut place, 5), 0);
                        let last = *out.last().unwrap();
                        out.resize(out.len() + MATCH, last);
                    } else {
                        out.push(u8::try_from(code - 0x30).unwrap());
                    }
                }
            }
            if is_last {
                return out;
            }
        }
    }

    #[test]
    fn it_unpacks_to_the_response_with_spaces_in_it() {
        let rest = format!("\"a\":\"{}\"}}", "x".repeat(70_000));
        let packed = pack(rest.as_bytes());
        assert!(packed.len() < 400 << 10, "{} bytes", packed.len());
        let unpacked = unpack(&packed);
        assert_eq!((unpacked[0], unpacked.len()), (b'{', PREFIX + rest.len()));
        assert!(unpacked[1..PREFIX].iter().all(|byte| *byte == b' '));
        assert_eq!(&unpacked[PREFIX..], rest.as_bytes());
        let mut crc = Crc(u32::MAX);
        crc.add(&unpacked);
        let (checksum, size) = (crc.value().to_le_bytes(), u32::try_from(unpacked.len()).unwrap().to_le_bytes());
        assert_eq!(packed[packed.len() - 8..], [checksum, size].concat());
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        let mut crc = Crc(u32::MAX);
        crc.add(b"123456789");
        assert_eq!(crc.value(), 0xcbf4_3926);
    }
}
