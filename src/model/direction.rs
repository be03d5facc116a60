//! Which way a packet went: by the order of its key until client and server are told apart, by direction afterwards.

use std::ops::{Index, IndexMut};

use super::words::Way;

/// The way of a packet once client and server are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    ClientToServer,
    ServerToClient,
}

/// An end of a flow by the order of its key. Stays the same whoever turns out to be the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Low,
    High,
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ClientToServer => Self::C2s,
            Direction::ServerToClient => Self::S2c,
        }
    }
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::ClientToServer, Self::ServerToClient];

    pub fn opposite(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    /// The end whose address the packet carries as its source.
    pub fn sender(self) -> &'static str {
        match self {
            Self::ClientToServer => "client",
            Self::ServerToClient => "server",
        }
    }
}

impl Side {
    pub fn opposite(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    /// The direction of packets from this side, given who the client is.
    pub fn direction(self, client: Side) -> Direction {
        if self == client { Direction::ClientToServer } else { Direction::ServerToClient }
    }
}

/// One value per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDirection<T> {
    pub c2s: T,
    pub s2c: T,
}

/// One value per side of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSide<T>(pub [T; 2]);

impl<T> PerSide<T> {
    /// The same values by direction.
    pub fn oriented(self, client: Side) -> PerDirection<T> {
        let [low, high] = self.0;
        match client {
            Side::Low => PerDirection { c2s: low, s2c: high },
            Side::High => PerDirection { c2s: high, s2c: low },
        }
    }

    /// The value of a side, and that of the other.
    pub fn split_mut(&mut self, side: Side) -> (&mut T, &mut T) {
        let [low, high] = &mut self.0;
        match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        }
    }
}

impl<T> Index<Direction> for PerDirection<T> {
    type Output = T;
    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::ClientToServer => &self.c2s,
            Direction::ServerToClient => &self.s2c,
        }
    }
}

impl<T> IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ClientToServer => &mut self.c2s,
            Direction::ServerToClient => &mut self.s2c,
        }
    }
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;
    fn index(&self, side: Side) -> &T {
        &self.0[side as usize]
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientation_puts_the_client_first_whichever_side_it_is() {
        let sides = PerSide([1, 2]);
        assert_eq!(sides.oriented(Side::Low), PerDirection { c2s: 1, s2c: 2 });
        assert_eq!(sides.oriented(Side::High), PerDirection { c2s: 2, s2c: 1 });
        assert_eq!(Side::High.direction(Side::High), Direction::ClientToServer);
    }
}
