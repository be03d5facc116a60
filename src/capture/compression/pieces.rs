//! A decoder asked for the same small pieces, whoever reads how much.
//!
//! Where compressed data is damaged, decoders lose what they had written in the call that met the damage. How much that is must not depend on the
//! size of rounds, and should be little.

use std::io::{self, Read};

/// What is lost before damage at the most; asking for each piece costs next to nothing beside decoding it (by design).
const PIECE_BYTES: usize = 4 * 1024;

pub(super) struct Pieces<R> {
    decoder: R,
    piece: Box<[u8; PIECE_BYTES]>,
    /// What of the piece was not given out yet.
    start: usize,
    end: usize,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(decoder: R) -> Self {
        Self { decoder, piece: Box::new([0; PIECE_BYTES]), start: 0, end: 0 }
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, self.decoder.read(&mut self.piece[..])?);
        }
        let count = into.len().min(self.end - self.start);
        into[..count].copy_from_slice(&self.piece[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Write};

    use super::super::Codec;

    /// What is read before an error, by a reader that asks for so many bytes at a time.
    fn before_damage(codec: Codec, stored: &[u8], at_a_time: usize) -> Vec<u8> {
        let input = BufReader::new(Cursor::new(stored.to_vec()));
        let mut decoder = codec.decoder(Box::new(input)).expect("a decoder");
        let (mut into, mut all) = (vec![0; at_a_time], Vec::new());
        while let Ok(count @ 1..) = decoder.read(&mut into) {
            all.extend(&into[..count]);
        }
        all
    }

    #[test]
    fn what_stands_before_damage_is_read_by_whoever_asks_for_how_much() {
        // Something that no codec makes small, so that half of the stored bytes are half of what they hold.
        let content: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&content).expect("memory");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&content).expect("memory");
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        zstd.write_all(&content).expect("memory"); // without its size: read as a stream
        let packed =
            [(Codec::Gzip, gzip.finish().expect("memory")), (Codec::Xz, xz.finish().expect("memory")), (Codec::Zstd, zstd.finish().expect("memory"))];
        for (codec, mut stored) in packed {
            let middle = stored.len() / 2;
            stored[middle..middle + 64].fill(0xff);
            let (little, much) = (before_damage(codec, &stored, 64), before_damage(codec, &stored, 1 << 20));
            assert_eq!(little, much, "{}", codec.word());
        }
    }
}
