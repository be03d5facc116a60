//! However a capture is packed, its flows are the same: compressed, in archives, through standard input, in rotated files; and what is damaged in it
//! is named and costs no more than it must.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::*;

/// Words of `captures.compression` and what makes them.
fn packings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", gzip(bytes)),
        ("zstd", zstd::stream::encode_all(bytes, 3).expect("in memory")),
        ("lz4", lz4(bytes)),
        ("xz", xz(bytes)),
        ("bzip2", bzip2(bytes)),
        ("gzip/zstd", gzip(&zstd::bulk::compress(bytes, 3).expect("in memory"))),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).expect("in memory");
    }
    archive.into_inner().expect("in memory")
}

/// A folder to run in.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        for (name, bytes) in files {
            fs::create_dir_all(place.at(name).parent().expect("a folder")).expect("a folder");
            fs::write(place.at(name), bytes).expect("a file");
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join("in").join(name)
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    /// Runs inside the folder, so that paths and sources are named the same wherever it is.
    fn analyze(&self, inputs: &[&str]) -> Ran {
        let inputs: Vec<&Path> = inputs.iter().map(Path::new).collect();
        run(analyze(&inputs, &self.out()).arg("--force").current_dir(self.0.path().join("in")))
    }

    fn rows(&self, table: &str) -> Vec<Row> {
        rows(&self.out(), table)
    }
}

/// All columns of flows and findings that a packing must not change.
fn result(place: &Place) -> (Vec<Row>, Vec<Row>) {
    let of_files = ["capture", "first_packet", "evidence", "run_id"];
    let of_files_in_findings = ["packets", "packet_captures", "evidence", "run_id"];
    (without(place.rows("flows"), &of_files), without(place.rows("findings"), &of_files_in_findings))
}

fn of_plain(bytes: &[u8]) -> (Vec<Row>, Vec<Row>) {
    let place = Place::with(&[("trace.pcap", bytes)]);
    place.analyze(&["trace.pcap"]).whole();
    let result = result(&place);
    assert!(!result.0.is_empty() && !result.1.is_empty(), "there is something to compare");
    result
}

#[track_caller]
fn assert_same(one: &(Vec<Row>, Vec<Row>), other: &(Vec<Row>, Vec<Row>)) {
    assert_same_rows(&one.0, &other.0);
    assert_same_rows(&one.1, &other.1);
}

fn trace() -> Pcap {
    Pcap::read(&sample("reset-race.pcap"))
}

#[test]
fn a_compressed_capture_has_the_flows_of_the_plain_one() {
    let bytes = trace().bytes();
    let plain = of_plain(&bytes);
    for (word, packed) in packings(&bytes) {
        let name = "trace.pcap"; // names tell nothing
        let place = Place::with(&[(name, &packed)]);
        place.analyze(&[name]).whole();
        assert_same(&result(&place), &plain);
        let capture = &place.rows("captures")[0];
        assert_eq!((text(capture, "compression"), text(capture, "format")), (word, "pcap"));
        assert_eq!(number(capture, "bytes"), packed.len() as i64, "{word}: bytes as they are stored");
        assert_eq!(text(capture, "content_hash"), format!("blake3:{}", blake3::hash(&packed).to_hex()), "{word}: hash of what is stored");
    }
}

#[test]
fn standard_input_may_be_packed_in_any_way() {
    let bytes = trace().bytes();
    let plain = of_plain(&bytes);
    let archive = tar(&[("trace.pcap", &bytes), ("notes.txt", b"no capture")]);
    let streams = packings(&bytes).into_iter().chain([
        ("tar", archive.clone()),
        ("gzip/tar", gzip(&archive)),
        ("zstd/tar/gzip", {
            let inner = gzip(&bytes);
            zstd::stream::encode_all(&tar(&[("trace.pcap.gz", &inner)])[..], 3).expect("in memory")
        }),
    ]);
    for (word, packed) in streams {
        let place = Place::with(&[]);
        fs::create_dir_all(place.at("")).expect("a folder");
        run_with_input(analyze(&[Path::new("-")], &place.out()).arg("--source").arg("trace=*"), &packed).whole();
        assert_same(&result(&place), &plain);
        assert_eq!(text(&place.rows("captures")[0], "compression"), word);
    }
}

#[test]
fn an_archive_is_read_like_the_folder_that_it_was() {
    let (one, other) = (trace().bytes(), Pcap::read(&sample("drop.pcap")).bytes());
    let members: &[(&str, &[u8])] =
        &[("client/trace.pcap", &one), ("server/other.pcap.gz", &gzip(&other)), ("notes.txt", b"no capture"), ("empty.pcap", b"")];
    let folder = Place::with(members);
    folder.analyze(&["."]).whole();
    let expected = result(&folder);
    for (name, archive) in [("all.tar", tar(members)), ("all.tgz", gzip(&tar(members))), ("x", xz(&tar(&[("inner.tar", &gzip(&tar(members)))])))] {
        let place = Place::with(&[(name, &archive)]);
        let summary = run(analyze(&[Path::new(".")], &place.out()).arg("--json").current_dir(place.at(""))).whole().json();
        assert_same(&result(&place), &expected);
        assert_eq!(summary["skipped"], 2, "{name}: a text and an empty file");
        let paths: Vec<String> = place.rows("captures").iter().map(|row| text(row, "path").to_string()).collect();
        assert!(paths.iter().all(|path| path.starts_with(&format!("./{name}/"))), "{paths:?}");
        assert!(paths.iter().any(|path| path.ends_with("/client/trace.pcap")), "{paths:?}");
        assert_eq!(names_in(&place.out()).iter().filter(|name| name.starts_with('.')).count(), 0, "nothing taken out stays behind");
    }
}

#[test]
fn a_series_may_be_rotated_and_compressed() {
    let trace = trace();
    let (whole, count) = (of_plain(&trace.bytes()), trace.records.len());
    let part = |at: usize| trace.part(count * at / 10..count * (at + 1) / 10);
    let names: Vec<String> = (0..10).map(|at| format!("trace-{at}.pcap")).collect();
    for pack in [|bytes: Vec<u8>| bytes, |bytes: Vec<u8>| gzip(&bytes), |bytes: Vec<u8>| zstd::stream::encode_all(&bytes[..], 1).expect("in memory")]
    {
        let files: Vec<(&str, Vec<u8>)> = names.iter().enumerate().map(|(at, name)| (&**name, pack(part(at)))).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &**bytes)).collect();
        let place = Place::with(&files);
        place.analyze(&["."]).whole();
        assert_same(&result(&place), &whole);
        assert_eq!(place.rows("captures").len(), 10);
        let archived = Place::with(&[("trace.tar.gz", &gzip(&tar(&files)))]);
        archived.analyze(&["trace.tar.gz"]).whole();
        assert_same(&result(&archived), &whole);
    }
}

#[test]
fn a_pattern_is_filled() {
    let bytes = trace().bytes();
    let place = Place::with(&[("a/one.pcap", &bytes), ("a/b/two.pcap", &bytes), ("a/three.pcapng", &bytes), ("a/four.txt", b"no capture")]);
    place.analyze(&["a/*.pcap"]).whole();
    let paths: Vec<String> = place.rows("captures").iter().map(|row| text(row, "path").to_string()).collect();
    assert_eq!(paths, ["a/one.pcap", "a/b/two.pcap"]);
    let ran = place.analyze(&["a/one.pcap", "nowhere/*.pcap"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(3), "tamperscope: nowhere/*.pcap: no file fits\n"));
}

// Damage.

#[test]
fn a_cut_compressed_capture_gives_what_stands_before_the_cut() {
    let trace = trace();
    for (word, packed) in packings(&trace.bytes()).into_iter().filter(|(word, _)| !word.contains('/')) {
        let place = Place::with(&[("trace.pcap", &packed[..packed.len() - packed.len() / 3]), ("whole.pcap", &trace.bytes())]);
        let ran = place.analyze(&["trace.pcap", "whole.pcap"]);
        let captures = place.rows("captures");
        let capture = captures.iter().find(|row| text(row, "path") == "trace.pcap").expect("a row of its own");
        assert_eq!((ran.code, &capture["complete"]), (Some(3), &serde_json::Value::Bool(false)), "{word}");
        assert!(text(capture, "error").starts_with(&format!("trace.pcap: {word} data cannot be read on at byte ")), "{}", text(capture, "error"));
        // A block is given out as a whole, and for all but gzip this trace is one.
        let packets = number(capture, "packets");
        assert!(packets < trace.records.len() as i64 && (packets > 0 || word != "gzip"), "{word}: {packets}");
    }
}

#[test]
fn a_cut_archive_gives_its_whole_members_and_is_named() {
    let bytes = trace().bytes();
    let archive = tar(&[("one.pcap", &bytes), ("two.pcap", &bytes)]);
    for (name, packed) in [("all.tar", archive.clone()), ("all.tar.gz", gzip(&archive))] {
        let cut = &packed[..packed.len() * 3 / 4];
        let place = Place::with(&[(name, cut)]);
        let ran = place.analyze(&[name]);
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        let captures = place.rows("captures");
        let whole = captures.iter().find(|row| text(row, "path").ends_with("/one.pcap")).expect("the first member");
        assert_eq!((number(whole, "packets"), &whole["complete"]), (trace().records.len() as i64, &serde_json::Value::Bool(true)));
    }
}

#[test]
fn what_is_packed_and_no_capture_is_refused_where_it_was_named_and_skipped_where_it_was_met() {
    let bytes = trace().bytes();
    let place = Place::with(&[
        ("trace.pcap", &bytes),
        ("text.gz", &gzip(b"Dear Sir or Madam")),
        ("empty.gz", &gzip(b"")),
        ("texts.tar", &tar(&[("a.txt", b"a"), ("b.txt", b"b")])),
    ]);
    let summary = run(analyze(&[Path::new(".")], &place.out()).arg("--json").current_dir(place.at(""))).whole().json();
    assert_eq!((&summary["files"], &summary["skipped"]), (&1.into(), &4.into()), "both texts of the archive are passed over");
    let ran = place.analyze(&["trace.pcap", "text.gz", "empty.gz", "texts.tar"]);
    assert_eq!(ran.code, Some(3));
    let says: Vec<&str> = ran.err.lines().collect();
    assert_eq!(
        says,
        [
            "tamperscope: text.gz: not a capture: first bytes are 44 65 61 72",
            "tamperscope: empty.gz: empty file",
            "tamperscope: texts.tar: an archive without a capture"
        ]
    );
}

#[test]
fn a_name_inside_an_archive_leads_nowhere_outside() {
    let bytes = trace().bytes();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let name = b"../../outside.pcap";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, &bytes[..]).expect("in memory");
    let place = Place::with(&[("all.tar.gz", &gzip(&archive.into_inner().expect("in memory")))]);
    place.analyze(&["all.tar.gz"]).whole();
    assert_eq!(text(&place.rows("captures")[0], "path"), "all.tar.gz/outside.pcap");
    assert_eq!(names_in(place.0.path()), ["in", "out"]);
}

#[test]
fn thousands_of_small_files_are_one_run() {
    let bytes = exchange(51_000).bytes();
    let names: Vec<String> = (0..2_000).map(|at| format!("{}/probe{at}x.pcap", at % 7)).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &*bytes)).collect();
    let place = Place::with(&files);
    let ran = place.analyze(&["."]).whole();
    assert!(ran.out.contains("20000 packets in 2000 flows from 2000 files"), "{}", ran.out);
}
