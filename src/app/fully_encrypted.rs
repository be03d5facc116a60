//! Random from the first byte: the rule by which the firewall of China finds fully encrypted traffic (Wu et al., "How the Great Firewall of China
//! Detects and Blocks Fully Encrypted Traffic", USENIX Security 2023, section 4), over the client's first payload as far as it is kept.
//!
//! It says what a firewall would take it for, never what it is: always weak.

use super::heads::{Recognised, View};
use crate::model::Direction::ClientToServer;
use crate::model::words::AppProtocol::FullyEncrypted;

/// Salt, length and two tags of the shortest first message of Shadowsocks. Fewer bytes say too little.
const BYTES_MIN: usize = 50;
/// Bits set per byte that random bytes stay between (Ex1), in tenths.
const BITS_MIN: u32 = 34;
const BITS_MAX: u32 = 46;
/// Printable bytes at the front (Ex2), and in a row (Ex4), that exempt.
const PRINTABLE_FRONT: usize = 6;
const PRINTABLE_ROW: usize = 20;
/// Equal bytes in a row that random bytes do not show (not of the paper; by design: of 80 random bytes one payload in 200,000 has four).
const EQUAL_ROW: usize = 4;
/// Methods of HTTP that exempt (Ex5).
const METHODS: [&[u8]; 4] = [b"GET ", b"PUT ", b"POST ", b"HEAD "];

pub(super) fn recognise(view: &View<'_>) -> Option<Recognised> {
    let stream = view.stream(ClientToServer);
    let first = &stream[..stream.len().min(view.first_len(ClientToServer))];
    (first.len() >= BYTES_MIN && !is_exempt(first)).then(|| Recognised::weak(FullyEncrypted, "fully_encrypted_tcp"))
}

fn is_exempt(payload: &[u8]) -> bool {
    let is_printable = |byte: &u8| (0x20..=0x7e).contains(byte);
    let bits = payload.iter().map(|byte| byte.count_ones()).sum::<u32>() * 10;
    let (low, high) = (BITS_MIN * payload.len() as u32, BITS_MAX * payload.len() as u32);
    bits <= low
        || bits >= high
        || payload.iter().take(PRINTABLE_FRONT).all(is_printable)
        || payload.iter().filter(|byte| is_printable(byte)).count() * 2 > payload.len()
        || payload.split(|byte| !is_printable(byte)).any(|row| row.len() > PRINTABLE_ROW)
        || matches!(payload, [0x16 | 0x17, 3, 0..=9, ..])
        || payload.windows(EQUAL_ROW).any(|row| row.iter().all(|byte| *byte == row[0]))
        || METHODS.iter().any(|method| payload.starts_with(method))
}

#[cfg(test)]
mod tests {
    use crate::app::heads::Strength::Weak;
    use crate::app::heads::scene::{first_of_tcp, tcp};

    /// Bytes without pattern (a linear congruential generator).
    fn noise(len: usize) -> Vec<u8> {
        std::iter::successors(Some(0x1234_5678_u32), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
            .skip(1)
            .map(|state| (state >> 24) as u8)
            .take(len)
            .collect()
    }

    #[test]
    fn bytes_without_pattern_fit() {
        assert_eq!(first_of_tcp(&tcp(&noise(200), &[])), Some(("fully_encrypted_tcp", Weak)));
        assert_eq!(first_of_tcp(&tcp(&noise(49), &[])), None, "too few");
    }

    #[test]
    fn each_exemption_exempts() {
        let with = |start: &[u8]| [start, &noise(200)[start.len()..]].concat();
        let row = [&noise(10)[..], b"twenty-one printables", &noise(60)].concat();
        let marker = [&[0xff; 16][..], &noise(100)].concat();
        for payload in [marker, vec![0; 100], vec![0xff; 100], with(b"sixsix"), with(b"\x16\x03\x01"), with(b"\x17\x03\x03"), with(b"HEAD "), row] {
            assert_eq!(first_of_tcp(&tcp(&payload, &[])), None, "{payload:02x?}");
        }
    }
}
