//! Hellos and certificates for tests, written by hand from RFC 8446, RFC 5246 and RFC 5280.

pub fn block8(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

pub fn block16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

pub fn block24(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat()
}

/// A list of two-byte values behind its length.
pub fn values16(values: &[u16]) -> Vec<u8> {
    block16(&values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>())
}

pub fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &block16(content)].concat()
}

pub fn server_name(name: &str) -> Vec<u8> {
    extension(0, &block16(&[&[0], &block16(name.as_bytes())[..]].concat()))
}

/// A handshake message.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &block24(body)[..]].concat()
}

/// One TLS record.
pub fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    [&[content_type, 3, 3], &block16(payload)[..]].concat()
}

/// A message in records of `piece` bytes.
pub fn records(message: &[u8], piece: usize) -> Vec<u8> {
    message.chunks(piece).flat_map(|piece| record(22, piece)).collect()
}

/// The body of a ClientHello; without the block of extensions where there are none.
pub fn client_hello_body(version: u16, session_id: &[u8], ciphers: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = if extensions.is_empty() { Vec::new() } else { block16(&extensions.concat()) };
    [&version.to_be_bytes()[..], &[9; 32], &block8(session_id), &values16(ciphers), &[1, 0], &extensions].concat()
}

/// A ClientHello message that offers TLS 1.3, padded by `padding` bytes.
pub fn client_hello_message(sni: &str, padding: usize) -> Vec<u8> {
    let extensions = [
        extension(0x5a5a, &[]), // GREASE
        extension(21, &vec![0; padding]),
        server_name(sni),
        extension(16, &block16(b"\x02h2\x08http/1.1")),
        extension(43, &[6, 0x1a, 0x1a, 3, 4, 3, 3]),
    ];
    message(1, &client_hello_body(0x0303, &[], &[0x1301, 0x1302], &extensions))
}

/// The same as the first bytes of a stream.
pub fn client_hello(sni: &str) -> Vec<u8> {
    record(22, &client_hello_message(sni, 0))
}

/// A ServerHello message.
pub fn server_hello_message(random: [u8; 32], session_id: &[u8], cipher: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    message(2, &[&[3, 3][..], &random, &block8(session_id), &cipher.to_be_bytes(), &[0], &block16(&extensions.concat())].concat())
}

/// A ServerHello that selects TLS 1.3.
pub fn server_hello() -> Vec<u8> {
    record(22, &server_hello_message([7; 32], &[], 0x1301, &[extension(43, &[3, 4])]))
}

/// A Certificate message up to TLS 1.2.
pub fn certificate_message(chain: &[Vec<u8>]) -> Vec<u8> {
    message(11, &block24(&chain.iter().flat_map(|certificate| block24(certificate)).collect::<Vec<_>>()))
}

/// A certificate of 2024 for one host and one address, signed by nobody.
pub fn certificate(host: &str, address: &[u8]) -> Vec<u8> {
    certificate_by(12, b"Test CA", host, address)
}

/// The same with the issuer in a string of any type.
pub fn certificate_by(tag: u8, issuer: &[u8], host: &str, address: &[u8]) -> Vec<u8> {
    let name = |tag, text: &[u8]| der(0x30, &der(0x31, &der(0x30, &[der(6, &[0x55, 4, 3]), der(tag, text)].concat())));
    let algorithm = der(0x30, &der(6, &[0x2b, 0x65, 0x70])); // Ed25519 (RFC 8410 section 3)
    let key = der(0x30, &[algorithm.clone(), der(3, &[0; 33])].concat());
    let validity = der(0x30, &[der(23, b"240101000000Z"), der(23, b"250101000000Z")].concat());
    let sans = der(0x30, &[der(0x82, host.as_bytes()), der(0x87, address)].concat());
    let extensions = der(0xa3, &der(0x30, &der(0x30, &[der(6, &[0x55, 0x1d, 17]), der(4, &sans)].concat())));
    let version = der(0xa0, &der(2, &[2]));
    let parts = [version, der(2, &[1]), algorithm.clone(), name(tag, issuer), validity, name(12, host.as_bytes()), key, extensions];
    der(0x30, &[der(0x30, &parts.concat()), algorithm, der(3, &[0; 65])].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    match content.len() {
        len @ 0..128 => [&[tag, len as u8], content].concat(),
        _ => [&[tag, 0x82], &block16(content)[..]].concat(),
    }
}
