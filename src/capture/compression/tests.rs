//! Scenes of whole, joined, padded, cut and damaged compressed files.

use std::io::{BufReader, Cursor, Write};

use proptest::prelude::*;

use super::*;

const ALL: [Codec; 5] = [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Xz, Codec::Bzip2];

pub(in crate::capture) fn compress(codec: Codec, content: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(content).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Codec::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("in memory");
            encoder.include_checksum(true).expect("before the first byte");
            encoder.write_all(content).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Codec::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(content).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Codec::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(content).expect("in memory");
            encoder.finish().expect("in memory")
        }
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
            encoder.write_all(content).expect("in memory");
            encoder.finish().expect("in memory")
        }
    }
}

/// Blocks of bgzip: gzip members of at most `block` bytes of content, each with its length in an extra field, and the empty one at the end.
fn bgzip(content: &[u8], block: usize) -> Vec<u8> {
    content.chunks(block).chain([&[][..]]).flat_map(bgzip_block).collect()
}

fn bgzip_block(content: &[u8]) -> Vec<u8> {
    let member = compress(Codec::Gzip, content);
    let deflated = &member[10..]; // with checksum and length
    let length = (10 + 8 + deflated.len() - 1) as u16;
    let header = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0];
    [&header[..], &length.to_le_bytes(), deflated].concat()
}

/// Zstandard frames that say how much they hold.
fn sized_zstd(content: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(content, 3).expect("in memory")
}

/// What is read, and the error at the end.
fn read(codec: Codec, stored: &[u8]) -> (Vec<u8>, Option<io::Error>) {
    // A buffer that is smaller than any header shows that nothing depends on how bytes come.
    let input = BufReader::with_capacity(7, Cursor::new(stored.to_vec()));
    let mut content = Vec::new();
    let result = codec.decoder(Box::new(input)).and_then(|mut decoder| decoder.read_to_end(&mut content));
    (content, result.err())
}

/// Half of it can be compressed.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    (0..length).map(|_| byte()).collect()
}

#[test]
fn every_codec_is_known_by_its_bytes_and_reads_back() {
    for codec in ALL {
        for length in [0, 1, 300_000] {
            let stored = compress(codec, &text(length));
            assert_eq!(Codec::sniff(&stored), Some(codec), "{codec:?} of {length} bytes");
            let (content, error) = read(codec, &stored);
            assert!(error.is_none(), "{codec:?}: {error:?}");
            assert!(content == text(length), "{codec:?} of {length} bytes");
        }
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for codec in ALL {
        let stored = [compress(codec, b"one "), compress(codec, b""), compress(codec, b"two ")].concat();
        assert_eq!(read(codec, &stored).0, b"one two ", "{codec:?}");
        assert!(read(codec, &stored).1.is_none(), "{codec:?}");
    }
}

#[test]
fn skippable_frames_are_passed_over() {
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for codec in [Codec::Zstd, Codec::Lz4] {
        let stored = [&skippable[..], &compress(codec, b"one "), &skippable, &compress(codec, b"two ")].concat();
        assert_eq!(Codec::sniff(&stored), Some(codec));
        assert_eq!(read(codec, &stored).0, b"one two ", "{codec:?}");
        assert!(read(codec, &stored).1.is_none(), "{codec:?}");
    }
}

#[test]
fn blocks_of_bgzip_are_read_in_order_and_plain_members_behind_them() {
    let content = text(1_000_000);
    assert!(read(Codec::Gzip, &bgzip(&content, 60_000)).0 == content);
    let mixed = [bgzip(&content, 50_000), compress(Codec::Gzip, b"plain"), bgzip(b"again", 10)].concat();
    let (read_back, error) = read(Codec::Gzip, &mixed);
    assert!(error.is_none() && read_back == [&content[..], b"plain", b"again"].concat());
}

#[test]
fn frames_of_zstandard_are_read_in_order_whether_they_say_their_size_or_not() {
    let content = text(2_000_000);
    let sized: Vec<u8> = content.chunks(300_000).flat_map(sized_zstd).collect();
    assert!(read(Codec::Zstd, &sized).0 == content);
    let mixed = [sized, compress(Codec::Zstd, b"streamed"), sized_zstd(b"sized")].concat();
    let (read_back, error) = read(Codec::Zstd, &mixed);
    assert!(error.is_none() && read_back == [&content[..], b"streamed", b"sized"].concat());
}

#[test]
fn a_frame_that_holds_more_than_it_says_is_an_error() {
    let mut lying = sized_zstd(&[7; 200]);
    let at = 5; // a single segment with one byte of size
    assert_eq!((lying[4] & 0x20, lying[at]), (0x20, 200));
    lying[at] = 20;
    let (content, error) = read(Codec::Zstd, &lying);
    assert!(content.is_empty() && error.is_some());
}

#[test]
fn zeros_behind_gzip_are_padding_and_anything_else_is_not() {
    let whole = compress(Codec::Gzip, b"content");
    assert!(read(Codec::Gzip, &[&whole[..], &[0; 600]].concat()).1.is_none());
    for trailing in [&b"garbage"[..], b"\0\0\x1f\x8b", b"\x1f"] {
        let (content, error) = read(Codec::Gzip, &[&whole[..], trailing].concat());
        assert_eq!(content, b"content");
        assert!(error.is_some(), "{trailing:?}");
    }
}

#[test]
fn a_file_that_is_cut_gives_what_stands_before_the_cut_and_an_error() {
    let content = text(200_000);
    let mut files: Vec<(Codec, Vec<u8>)> = ALL.iter().map(|&codec| (codec, compress(codec, &content))).collect();
    files.push((Codec::Gzip, bgzip(&content, 30_000)));
    files.push((Codec::Zstd, content.chunks(30_000).flat_map(sized_zstd).collect()));
    let mut incompressible = lz4_flex::frame::FrameEncoder::new(Vec::new());
    incompressible.write_all(&content).expect("in memory");
    files.push((Codec::Lz4, incompressible.finish().expect("in memory")));
    for (codec, stored) in files {
        for cut in (8..stored.len()).step_by(stored.len() / 50) {
            let (read_back, error) = read(codec, &stored[..cut]);
            assert!(content.starts_with(&read_back), "{codec:?} cut at {cut}");
            // Between two blocks or frames that stand for themselves a cut file is a whole one.
            assert!(error.is_some() || is_between(codec, &stored, cut), "{codec:?} cut at {cut} of {}", stored.len());
        }
    }
}

fn is_between(codec: Codec, stored: &[u8], cut: usize) -> bool {
    Codec::sniff(&stored[cut..]) == Some(codec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_are_too_hostile(codec in prop::sample::select(&ALL[..]), bytes in prop::collection::vec(any::<u8>(), 0..300), kept in 0..40_usize) {
        let start = compress(codec, b"honest to begin with");
        let _ends = read(codec, &[&start[..kept.min(start.len())], &bytes].concat());
    }

    #[test]
    fn a_flipped_bit_never_changes_content_unseen(codec in prop::sample::select(&ALL[..]), at: prop::sample::Index, bit in 0..8) {
        let content = text(5_000);
        let mut stored = compress(codec, &content);
        let at = at.index(stored.len());
        stored[at] ^= 1_u8 << bit;
        let (read_back, error) = read(codec, &stored);
        // LZ4 frames of this writer carry no checksum of their content, gzip headers none of their own.
        prop_assert!(error.is_some() || read_back == content || codec == Codec::Lz4);
    }
}
