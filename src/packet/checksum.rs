//! Checksums of TCP and UDP, for the few packets whose bytes are in doubt. Others are taken as they are: of what a machine sent itself, its network card
//! computes the checksum behind the capture.

use crate::model::Protocol;

use super::ip::Datagram;

/// Whether the checksum proves that the bytes are those that were sent: none where there is no checksum, or not all bytes are in the capture.
pub(super) fn proves(datagram: &Datagram<'_>) -> bool {
    let payload = datagram.payload;
    let sum_at = match Protocol(datagram.protocol) {
        Protocol::TCP => 16,
        Protocol::UDP => 6,
        _ => return false,
    };
    let is_whole = payload.bytes.len() == payload.on_wire as usize;
    is_whole && payload.be16(sum_at).is_some_and(|sum| sum != 0) && folded(pseudo_header(datagram) + sum(payload.bytes)) == 0xffff
}

/// Addresses, protocol and length (RFC 9293 section 3.1, RFC 8200 section 8.1). An IPv4 address stands in its mapped form, whose prefix is taken off again.
fn pseudo_header(datagram: &Datagram<'_>) -> u64 {
    let address = |address: &[u8; 16]| if datagram.version == 4 { sum(&address[12..]) } else { sum(address) };
    address(&datagram.source.0) + address(&datagram.destination.0) + u64::from(datagram.protocol) + u64::from(datagram.payload.on_wire)
}

/// Words of sixteen bits, the last one filled up (RFC 1071 section 1).
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |&byte| u64::from(byte) << 8);
    words.iter().map(|&word| u64::from(u16::from_be_bytes(word))).sum::<u64>() + last
}

fn folded(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::super::ip;
    use super::super::view::View;
    use super::*;

    fn is_proven(bytes: &[u8], on_wire: usize) -> bool {
        proves(&ip::datagram(View::new(bytes, 0, on_wire as u32)).expect("IP"))
    }

    fn datagrams() -> Vec<Vec<u8>> {
        let v4 = || PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64);
        let v6 = || PacketBuilder::ipv6([0x20; 16], [0x21; 16], 64);
        let steps = [v4().tcp(50_000, 443, 7, 100), v6().tcp(50_000, 443, 7, 100)].map(|step| {
            let mut bytes = Vec::new();
            step.write(&mut bytes, b"an odd number of bytes.").expect("in memory");
            bytes
        });
        let datagrams = [v4().udp(50_000, 53), v6().udp(50_000, 53)].map(|step| {
            let mut bytes = Vec::new();
            step.write(&mut bytes, b"even").expect("in memory");
            bytes
        });
        [steps, datagrams].concat()
    }

    #[test]
    fn a_right_checksum_proves_and_one_wrong_bit_does_not() {
        for bytes in datagrams() {
            assert!(is_proven(&bytes, bytes.len()));
            let header = if bytes[0] >> 4 == 4 { 20 } else { 40 };
            for bit in header * 8..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_proven(&other, other.len()), "bit {bit}");
            }
        }
    }

    #[test]
    fn what_cannot_be_summed_is_not_proven() {
        for bytes in datagrams() {
            assert!(!is_proven(&bytes[..bytes.len() - 1], bytes.len()), "snapped");
        }
        let mut without = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64).udp(1, 2).write(&mut without, b"x").expect("in memory");
        without[26..28].fill(0);
        assert!(!is_proven(&without, without.len()), "UDP without a checksum");
    }
}
