//! Compressed files, recognised by their first bytes and read as streams.
//!
//! In:  the bytes of a file as it is stored.
//! Out: what was compressed, all members or frames of the file one after the other.
//! Promises: memory does not grow with the file; a file that is cut or damaged gives what can be read before that place, and an error, never a silent end.

mod frames;
mod gzip;
mod lz4;
mod pieces;
mod zstd_frames;

use std::io::{self, BufRead, Read};

use pieces::Pieces;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Lz4,
    Xz,
    Bzip2,
}

/// Memory that one stream of xz may ask for: four times what its highest preset takes (xz(1), -9).
const XZ_MEMORY_MAX: u64 = 256 * 1024 * 1024;

impl Codec {
    /// The word of the `captures` table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// By the first bytes: RFC 1952 section 2.3.1 (with deflate, the only method there is), RFC 8878 sections 3.1.1 and 3.1.2, the LZ4 frame format
    /// (1.6.4, with its legacy frame), the .xz format (1.2.1 section 2.1.1.1), and bzip2's header with the first block's magic or the end of an empty stream.
    pub(super) fn sniff(start: &[u8]) -> Option<Self> {
        match *start {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Self::Bzip2),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Some(Self::Bzip2),
            // Skippable frames are of both formats; what comes behind them tells.
            [magic, 0x2a, 0x4d, 0x18, a, b, c, d, ref rest @ ..] if is_skippable([magic, 0x2a, 0x4d, 0x18]) => {
                let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
                Self::sniff(rest.get(length..)?).or(Some(Self::Zstd))
            }
            _ => None,
        }
    }

    /// What was compressed, from the bytes of the file on.
    pub(super) fn decoder(self, input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(gzip::reader(input)),
            Self::Zstd => Box::new(zstd_frames::reader(input)),
            Self::Lz4 => Box::new(lz4::Lz4Frames::new(input)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_MAX, liblzma::stream::CONCATENATED)?;
                Box::new(Pieces::new(liblzma::bufread::XzDecoder::new_stream(input, stream)))
            }
            Self::Bzip2 => Box::new(Pieces::new(bzip2::bufread::MultiBzDecoder::new(input))),
        })
    }
}

/// Frames that decoders pass over, the same in Zstandard (RFC 8878 section 3.1.2) and LZ4.
fn is_skippable(magic: [u8; 4]) -> bool {
    matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

#[cfg(test)]
pub(super) mod tests;
