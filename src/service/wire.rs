//! Hints: what the first payloads say of a service.
//! In:  a hint of the catalog, the clues of a flow.
//! Out: how surely the hint holds.
//! Not here: whether an address or a port supports a weak one (`naming`).

use crate::app::heads::{Heads, Strength};
use crate::model::Side;

use super::Clues;
use super::file::{At, Dir, Hint};

impl Hint {
    pub fn check_name(&self) -> Option<&str> {
        self.check.as_ref().map(|check| check.get_ref().as_str())
    }

    pub fn has_condition(&self) -> bool {
        self.check.is_some() || self.is_about_bytes() || self.is_about_stun() || !self.alpn.is_empty()
    }

    fn is_about_bytes(&self) -> bool {
        !self.r#match.is_empty() || self.has_len()
    }

    fn has_len(&self) -> bool {
        [self.len, self.len_min, self.len_max].iter().any(Option::is_some)
    }

    fn is_about_stun(&self) -> bool {
        !self.realm.is_empty() || !self.stun_types.is_empty() || !self.stun_attributes.is_empty()
    }

    /// How surely all conditions hold; None: one of them does not. Plain patterns are weak where who wrote them says that they need support.
    pub fn strength(&self, clues: &Clues<'_>) -> Option<Strength> {
        let others_hold = self.proto.0 == clues.transport
            && (!self.is_about_bytes() || clues.heads.is_some_and(|heads| self.bytes_fit(heads, clues.client)))
            && (!self.is_about_stun() || self.stun_fits(clues))
            && (self.alpn.is_empty() || self.alpn.iter().any(|name| clues.alpn.contains(name)));
        let recogniser = |name: &str| clues.recognised.iter().find(|recognised| recognised.id == name).map(|recognised| recognised.strength);
        if !others_hold {
            return None;
        }
        match self.check_name() {
            Some(name) => recogniser(name),
            None if self.needs.is_empty() => Some(Strength::Certain),
            None => Some(Strength::Weak),
        }
    }

    fn stun_fits(&self, clues: &Clues<'_>) -> bool {
        let Some(stun) = clues.stun else { return false };
        let realm = stun.realm.as_deref().map(str::to_ascii_lowercase);
        (self.realm.is_empty() || realm.is_some_and(|realm| self.realm.iter().any(|part| realm.contains(part))))
            && (self.stun_types.is_empty() || self.stun_types.iter().any(|kind| stun.types.contains(kind)))
            && (self.stun_attributes.is_empty() || self.stun_attributes.iter().any(|kind| stun.attributes.contains(kind)))
    }

    fn bytes_fit(&self, heads: &Heads, client: Side) -> bool {
        let senders = match self.dir {
            Dir::C2s => [Some(client), None],
            Dir::S2c => [Some(client.opposite()), None],
            Dir::Both => [Some(client), Some(client.opposite())],
        };
        senders.into_iter().flatten().any(|sender| self.bytes_of_fit(heads, sender))
    }

    fn bytes_of_fit(&self, heads: &Heads, sender: Side) -> bool {
        let mut payloads = heads.payloads.iter().filter(|payload| payload.sender == sender);
        match self.at {
            At::StreamStart => {
                let first_len = payloads.next().map(|payload| payload.len);
                let stream = &heads.streams[sender];
                !stream.is_empty() && self.pattern_fits(stream) && (!self.has_len() || first_len.is_some_and(|len| self.len_fits(len)))
            }
            At::FirstDatagram => payloads.next().is_some_and(|payload| self.pattern_fits(&payload.bytes) && self.len_fits(payload.len)),
            At::Datagram => payloads.any(|payload| self.pattern_fits(&payload.bytes) && self.len_fits(payload.len)),
        }
    }

    fn pattern_fits(&self, payload: &[u8]) -> bool {
        self.r#match.iter().all(|bytes| bytes.fit(payload))
    }

    fn len_fits(&self, len: u32) -> bool {
        self.len.is_none_or(|exact| len == exact) && self.len_min.is_none_or(|min| len >= min) && self.len_max.is_none_or(|max| len <= max)
    }
}
