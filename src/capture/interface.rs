//! The interfaces of a source, each known once however often it is described.

use std::collections::HashMap;

/// Ordinals are sixteen bits in every record.
const INTERFACES_MAX: usize = 65_535;
/// Names of interfaces are short (IFNAMSIZ is 16, a GUID path of Npcap 60): more is an attempt on memory.
const NAME_BYTES_MAX: usize = 256;

/// An interface that packets were captured on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    pub name: Option<String>,
    pub link_type: u16,
    /// Where its description stands among those of its section, from 0.
    pub position: u32,
}

/// All interfaces of a source in order of appearance.
///
/// A file of a rotated series describes its interfaces anew: they are the same ones where name, link type and position agree.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    list: Vec<Interface>,
    ordinals: HashMap<Interface, u16>,
}

impl Interfaces {
    pub(super) fn list(&self) -> &[Interface] {
        &self.list
    }

    /// The ordinal of an interface that a section describes; none where there are too many.
    pub(super) fn described(&mut self, name: Option<&[u8]>, link_type: u16, position: u32) -> Option<u16> {
        let name = name.map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(NAME_BYTES_MAX)]).into_owned());
        let interface = Interface { name, link_type, position };
        if let Some(&ordinal) = self.ordinals.get(&interface) {
            return Some(ordinal);
        }
        if self.list.len() >= INTERFACES_MAX {
            return None;
        }
        let ordinal = u16::try_from(self.list.len()).ok()?;
        self.list.push(interface.clone());
        self.ordinals.insert(interface, ordinal);
        Some(ordinal)
    }

    /// A pcap names no interface: its packets belong to the first one of the source.
    pub(super) fn only(&mut self, link_type: u16) -> u16 {
        if self.list.is_empty() {
            self.described(None, link_type, 0);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_file_of_a_series_finds_its_interfaces_again() {
        let mut interfaces = Interfaces::default();
        let first_file = [interfaces.described(Some(b"eth0"), 1, 0), interfaces.described(Some(b"wlan0"), 127, 1)];
        let second_file = [interfaces.described(Some(b"eth0"), 1, 0), interfaces.described(Some(b"wlan0"), 127, 1)];
        assert_eq!(first_file, second_file);
        assert_eq!(interfaces.described(Some(b"eth0"), 113, 0), Some(2), "another link type is another interface");
        assert_eq!(interfaces.list().len(), 3);
    }

    #[test]
    fn there_is_an_end_to_interfaces() {
        let mut interfaces = Interfaces::default();
        assert!((0..65_535).all(|position| interfaces.described(None, 1, position).is_some()));
        assert_eq!(interfaces.described(None, 1, 65_535), None);
        assert_eq!(interfaces.described(None, 1, 7), Some(7));
    }
}
