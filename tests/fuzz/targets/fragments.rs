//! A datagram torn into fragments, in any order, any of them again and again: it is put together as it was, and who comes later changes nothing.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tamperscope::packet::{Decoded, Fragments, Packet, PayloadRange, decode, decode_whole};
use tamperscope_fuzz::{RAW, ipv4_fragment, ipv6_fragment, record_of, udp};

#[derive(Debug, Arbitrary)]
struct Input {
    is_v6: bool,
    carries: u8,
    payload: Vec<u8>,
    /// Borders of fragments, in units of eight bytes.
    cuts: BTreeSet<u8>,
    /// Which fragment comes next, and whether its bytes are forged.
    order: Vec<(u8, bool)>,
}

/// IP in IP, TCP, UDP, 6in4, GRE, ICMP of both kinds, PIM, SCTP, and one for experiments (RFC 3692).
const CARRIED: [u8; 10] = [4, 6, 17, 41, 47, 1, 58, 103, 132, 253];

fuzz_target!(|input: Input| {
    let protocol = CARRIED[usize::from(input.carries) % CARRIED.len()];
    let payload = if protocol == 17 { udp((50_000, 4_789), &input.payload) } else { input.payload.clone() };
    let pieces = tear(payload.len(), &input.cuts);
    let fragment = |at: usize, forged: bool| {
        let (from, to) = pieces[at];
        let bytes: Vec<u8> = payload[from..to].iter().map(|byte| if forged { !byte } else { *byte }).collect();
        let more = to < payload.len();
        if input.is_v6 { ipv6_fragment(protocol, &bytes, Some(from), more) } else { ipv4_fragment(protocol, &bytes, from, more) }
    };
    let whole = if input.is_v6 { ipv6_fragment(protocol, &payload, None, false) } else { ipv4_fragment(protocol, &payload, 0, false) };
    let expected = Reader::default().datagram(&whole, false);

    let (mut reader, mut held, mut times) = (Reader::default(), BTreeSet::new(), 0);
    let last = (0..pieces.len()).map(|at| (at, false));
    let order = input.order.iter().map(|&(at, forged)| (usize::from(at) % pieces.len(), forged)).chain(last);
    // A forged fragment changes nothing only where the true one has come and waits; the only one of its datagram never waits.
    for (at, forged) in order {
        if forged && !held.contains(&at) {
            continue;
        }
        let found = reader.datagram(&fragment(at, forged), pieces.len() > 1);
        held.insert(at);
        if found.is_empty() {
            continue;
        }
        assert!(held.len() == pieces.len() || pieces.len() == 1, "a datagram is whole when all of it came, not before");
        assert_eq!(found, expected, "put together as it was");
        held.clear();
        times += 1;
    }
    assert!(times > 0, "all fragments came");
});

/// Fragments from byte to byte.
fn tear(length: usize, cuts: &BTreeSet<u8>) -> Vec<(usize, usize)> {
    let inside = cuts.iter().map(|&cut| usize::from(cut) * 8).filter(|&cut| 0 < cut && cut < length);
    let borders: Vec<usize> = std::iter::once(0).chain(inside).chain([length]).collect();
    borders.windows(2).map(|ends| (ends[0], ends[1])).collect()
}

#[derive(Default)]
struct Reader {
    fragments: Fragments,
    round: Vec<u8>,
}

impl Reader {
    /// What is found in a datagram; nothing in a fragment that has to wait.
    fn datagram(&mut self, datagram: &[u8], is_fragment: bool) -> Vec<String> {
        self.round.clear();
        self.round.extend(datagram);
        let mut found = Vec::new();
        decode(&record_of(RAW, 0, datagram.len(), datagram.len(), 1), &self.round, |decoded| found.push(decoded));
        if is_fragment {
            let Some(Decoded::Fragment(fragment)) = found.pop() else { panic!("a fragment is known as one") };
            if let Some(whole) = self.fragments.take(&fragment, &mut self.round) {
                decode_whole(&whole, &self.round, |decoded| found.push(decoded));
            }
        }
        found.iter().map(|decoded| word(decoded, &self.round)).collect()
    }
}

/// What was found, in words that leave out where it stood, and the bytes of IPv6's fragment header.
fn word(decoded: &Decoded, round: &[u8]) -> String {
    match decoded {
        Decoded::Packet(packet) | Decoded::Quote(packet) => {
            let ip_bytes = if packet.tunnel.is_empty() && packet.key.ip_version == 6 { 0 } else { packet.ip_bytes };
            let payload = packet.payload.of(round);
            format!("{:?} {payload:?}", Packet { payload: PayloadRange::default(), ip_bytes, ..packet.clone() })
        }
        Decoded::Fragment(_) => "a fragment inside".into(),
        Decoded::NotIp => "not IP".into(),
        Decoded::Undecoded => "undecoded".into(),
    }
}
