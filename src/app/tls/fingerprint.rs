//! Fingerprints of hellos: JA3 and JA3S (Salesforce, 2017) as tshark computes them, JA4 as FoxIO's specification has it.
//!
//! GREASE is left out of all of them (RFC 8701). They are of whole hellos only: half a list is another list.

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::{Carrier, extension, is_grease, values};

/// The parts of a ClientHello that fingerprints are made of, where they stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offer<'a> {
    pub legacy_version: u16,
    /// Of supported_versions.
    pub versions: &'a [u8],
    pub ciphers: &'a [u8],
    /// Type, length and content of each.
    pub extensions: &'a [u8],
    pub groups: &'a [u8],
    pub point_formats: &'a [u8],
    pub signature_algorithms: &'a [u8],
    /// The first name of ALPN.
    pub protocol: &'a [u8],
}

impl Offer<'_> {
    /// MD5 of version, ciphers, extensions, groups and point formats in decimal.
    pub fn ja3(&self) -> [u8; 16] {
        let mut text = self.legacy_version.to_string();
        write_list(&mut text, values(self.ciphers));
        write_list(&mut text, self.extension_types());
        write_list(&mut text, values(self.groups));
        write_list(&mut text, self.point_formats.iter().map(|format| u16::from(*format)));
        Md5::digest(text).into()
    }

    /// `t13d1516h2_8daaf6152771_e5627efa2ab1`: what a hello looks like, its ciphers, its extensions and signature algorithms.
    pub fn ja4(&self, carrier: Carrier) -> String {
        let mut ciphers: Vec<u16> = values(self.ciphers).collect();
        ciphers.sort_unstable();
        let mut types: Vec<u16> = self.extension_types().collect();
        let extensions = types.len();
        let name = if types.contains(&extension::SERVER_NAME) { 'd' } else { 'i' };
        types.retain(|kind| !matches!(*kind, extension::SERVER_NAME | extension::ALPN));
        types.sort_unstable();
        let carrier = match carrier {
            Carrier::Tcp => 't',
            Carrier::Quic => 'q',
            Carrier::Dtls => 'd',
        };
        // The highest value, which of DTLS is not the newest version.
        let version = values(self.versions).max().unwrap_or(self.legacy_version);
        let (first, last) = self.protocol_ends();
        format!(
            "{carrier}{}{name}{:02}{:02}{first}{last}_{}_{}",
            ja4_version(version),
            ciphers.len().min(99),
            extensions.min(99),
            ja4_hash(&ciphers, &[]),
            ja4_hash(&types, &values(self.signature_algorithms).collect::<Vec<_>>())
        )
    }

    fn extension_types(&self) -> impl Iterator<Item = u16> {
        let mut rest = self.extensions;
        std::iter::from_fn(move || {
            let (head, behind) = rest.split_at_checked(4)?;
            rest = behind.get(usize::from(u16::from_be_bytes([head[2], head[3]]))..)?;
            Some(u16::from_be_bytes([head[0], head[1]]))
        })
        .filter(|kind| !is_grease(*kind))
    }

    /// First and last letter of the first protocol; of its hexadecimal digits where one of them is no letter or digit.
    fn protocol_ends(&self) -> (char, char) {
        let (Some(&first), Some(&last)) = (self.protocol.first(), self.protocol.last()) else { return ('0', '0') };
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
            return (first.into(), last.into());
        }
        (digit(u16::from(first >> 4)), digit(u16::from(last)))
    }
}

fn ja4_version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// Twelve digits of a SHA-256 over values in hexadecimal; zeros where there are none.
fn ja4_hash(sorted: &[u16], in_order: &[u16]) -> String {
    if sorted.is_empty() {
        return "0".repeat(12);
    }
    let mut text = String::with_capacity(5 * (sorted.len() + in_order.len()));
    write_hex(&mut text, sorted);
    if !in_order.is_empty() {
        text.push('_');
        write_hex(&mut text, in_order);
    }
    Sha256::digest(text).iter().take(6).flat_map(|byte| [digit(u16::from(byte >> 4)), digit(u16::from(*byte))]).collect()
}

/// Four digits each, with commas between them. By hand: formatting took a quarter of the time of a hello.
fn write_hex(text: &mut String, values: &[u16]) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.extend([12, 8, 4, 0].map(|shift| digit(value >> shift)));
    }
}

/// The lowest four bits.
fn digit(value: u16) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

/// MD5 of version, cipher and extensions in decimal.
pub(super) fn ja3s(version: u16, cipher: u16, extensions: &[u16]) -> [u8; 16] {
    let mut text = format!("{version},{cipher}");
    write_list(&mut text, extensions.iter().copied().filter(|kind| !is_grease(*kind)));
    Md5::digest(text).into()
}

/// A comma, and decimal numbers with `-` between them.
fn write_list(text: &mut String, values: impl Iterator<Item = u16>) {
    text.push(',');
    for (index, value) in values.enumerate() {
        let dash = if index > 0 { "-" } else { "" };
        let _infallible = write!(text, "{dash}{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{build, client_hello, server_hello};
    use super::*;
    use build::{block8, block16, extension, server_name, values16};

    fn hex(bytes: Option<[u8; 16]>) -> String {
        bytes.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn hello(version: u16, ciphers: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
        build::message(1, &build::client_hello_body(version, &[], ciphers, extensions))
    }

    fn ja3(version: u16, ciphers: &[u16], extensions: &[Vec<u8>]) -> String {
        hex(client_hello(&hello(version, ciphers, extensions), Carrier::Tcp).expect("a hello").ja3)
    }

    fn ja4(carrier: Carrier, version: u16, ciphers: &[u16], extensions: &[Vec<u8>]) -> String {
        let mut message = hello(version, ciphers, extensions);
        if carrier == Carrier::Dtls {
            message.insert(4 + 2 + 32 + 1, 0); // no cookie
            message[3] += 1;
        }
        client_hello(&message, carrier).expect("a hello").ja4.expect("of a whole hello")
    }

    /// Chrome's ciphers, with GREASE in front.
    const CHROME: [u16; 16] =
        [0xcaca, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035];
    const ALGORITHMS: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

    /// The extensions of Chrome's hello in the order of the specification's example, with the first protocol as given.
    fn chrome(protocol: &[u8], algorithms: &[u16]) -> Vec<Vec<u8>> {
        let kinds =
            [0x2a2a, 0x001b, 0, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015];
        let content = |kind: u16| match kind {
            0 => server_name("www.example.com"),
            16 => extension(16, &block16(&block8(protocol))),
            13 => extension(13, &values16(algorithms)),
            43 => extension(43, &block8(&[0x5a, 0x5a, 3, 4, 3, 3])),
            kind => extension(kind, &[]),
        };
        kinds.into_iter().map(content).collect()
    }

    #[test]
    fn ja3_is_that_of_its_authors() {
        let groups = [server_name("a.example"), extension(10, &values16(&[0x6a6a, 23, 24, 25])), extension(11, &[1, 0])];
        let ciphers = [0x3a3a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
        assert_eq!(ja3(769, &ciphers, &groups), "ada70206e40642a3e4461f35503241d5");
        assert_eq!(ja3(769, &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], &[]), "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn ja3s_joins_version_cipher_and_extensions() {
        let extensions = [65281, 0, 11, 35, 5, 16].map(|kind| extension(kind, &[]));
        let mut message = build::server_hello_message([1; 32], &[], 47, &extensions);
        message[5] = 1; // TLS 1.0
        assert_eq!(server_hello(&message).map(|hello| hello.ja3s), Ok(Md5::digest("769,47,65281-0-11-35-5-16").into()));
    }

    #[test]
    fn ja4_is_that_of_the_specification() {
        let of = |carrier| ja4(carrier, 0x0303, &CHROME, &chrome(b"h2", &ALGORITHMS));
        assert_eq!(of(Carrier::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(of(Carrier::Quic), "q13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(of(Carrier::Dtls), "d13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn ja4_leaves_grease_out_of_signature_algorithms() {
        let algorithms: Vec<u16> = [0x8a8a].into_iter().chain(ALGORITHMS).collect();
        assert_eq!(ja4(Carrier::Tcp, 0x0303, &CHROME, &chrome(b"h2", &algorithms)), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(ja4(Carrier::Tcp, 0x0303, &CHROME, &chrome(b"h2", &[])), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn ja4_writes_a_protocol_by_its_ends() {
        for (protocol, ends) in [
            (&b"http/1.1"[..], "h1"),
            (b"h", "hh"),
            (b"", "00"),
            (&[0xab], "ab"),
            (&[0xab, 0xcd], "ad"),
            (&[0x30, 0xab], "3b"),
            (&[0x30, 0x31, 0xab, 0xcd], "3d"),
            (&[0x30, 0xab, 0xcd, 0x31], "01"),
        ] {
            assert_eq!(ja4(Carrier::Tcp, 0x0303, &CHROME, &chrome(protocol, &ALGORITHMS))[8..10], *ends, "{protocol:?}");
        }
    }

    #[test]
    fn ja4_writes_zeros_where_there_is_nothing() {
        assert_eq!(ja4(Carrier::Tcp, 0x0300, &[], &[]), "ts3i000000_000000000000_000000000000");
        assert_eq!(ja4(Carrier::Dtls, 0xfefd, &[0x0a0a], &[server_name("a.example")]), "dd2d000100_000000000000_000000000000");
    }

    #[test]
    fn ja4_takes_the_highest_value_of_all_versions() {
        let version = |versions: &[u8]| ja4(Carrier::Dtls, 0xfefd, &[0x1301], &[extension(43, &block8(versions))])[1..3].to_owned();
        assert_eq!(version(&[0xfe, 0xfc]), "d3");
        assert_eq!(version(&[0xfe, 0xfc, 0xfe, 0xfd]), "d2");
        assert_eq!(version(&[]), "d2");
        assert_eq!(version(&[0x7f, 0x1c, 3, 4]), "00", "a draft");
    }

    #[test]
    fn ja4_counts_to_99() {
        let ciphers: Vec<u16> = (1..120).collect();
        assert_eq!(ja4(Carrier::Tcp, 0x0303, &ciphers, &[])[..10], *"t12i990000");
    }
}
