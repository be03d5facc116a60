//! The tunnels around the innermost IP header of a packet, outermost first: small, and copied with the packet.

use std::fmt;

use super::words::{TunnelKind, Word};

/// Tunnels in each other that are followed; the deepest honest ones known are four.
const TUNNELS_MAX: usize = 8;
/// Identifiers that are kept for the row; the flow key counts all of them.
const IDS_MAX: usize = 2;
/// Marks a tunnel whose identifier is kept.
const HAS_ID: u8 = 0x80;

/// Kinds from the outermost on, and the first identifiers among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelPath {
    /// Positions in the list of words, counted from 1; 0 ends the path.
    kinds: [u8; TUNNELS_MAX],
    ids: [u32; IDS_MAX],
}

impl TunnelPath {
    pub fn is_empty(&self) -> bool {
        self.kinds[0] == 0
    }

    /// The path with one tunnel more inside; none where there are too many.
    pub fn inside(mut self, kind: TunnelKind, id: Option<u32>) -> Option<Self> {
        let ids = self.kinds.iter().filter(|&&kind| kind & HAS_ID != 0).count();
        let place = self.kinds.iter_mut().find(|kind| **kind == 0)?;
        *place = kind.index() as u8 + 1;
        if let (Some(id), Some(kept)) = (id, self.ids.get_mut(ids)) {
            *place |= HAS_ID;
            *kept = id;
        }
        Some(self)
    }
}

/// Words joined by slashes, an identifier behind a colon: `gre/vxlan:42`.
impl fmt::Display for TunnelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.ids.iter();
        for (position, kind) in self.kinds.iter().enumerate() {
            let Some(word) = usize::from(kind & !HAS_ID).checked_sub(1).and_then(|index| TunnelKind::ALL.get(index)) else { break };
            let slash = if position > 0 { "/" } else { "" };
            write!(formatter, "{slash}{}", word.word())?;
            if kind & HAS_ID != 0
                && let Some(id) = ids.next()
            {
                write!(formatter, ":{id}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_outside_in() {
        let path = TunnelPath::default().inside(TunnelKind::Gre, None).and_then(|path| path.inside(TunnelKind::Vxlan, Some(42)));
        assert_eq!(path.expect("two fit").to_string(), "gre/vxlan:42");
        assert_eq!(TunnelPath::default().to_string(), "");
    }

    #[test]
    fn the_first_two_identifiers_are_kept() {
        let vxlan = |path: TunnelPath, id| path.inside(TunnelKind::Vxlan, Some(id)).expect("it fits");
        assert_eq!(vxlan(vxlan(vxlan(TunnelPath::default(), 0), 7), 9).to_string(), "vxlan:0/vxlan:7/vxlan");
    }

    #[test]
    fn a_path_has_an_end() {
        let mut path = TunnelPath::default();
        for _ in 0..TUNNELS_MAX {
            path = path.inside(TunnelKind::Ipip, None).expect("it fits");
        }
        assert_eq!(path.inside(TunnelKind::Ipip, None), None);
    }
}
