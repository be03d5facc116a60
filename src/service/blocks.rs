//! The longest block of addresses that holds an address.
//! In:  blocks, each with a number, in any order; of two that are the same the first stays.
//! Out: the number of the longest block around an address.
//! Promises: a look-up is one binary search and allocates nothing; a block takes 16 bytes at most (IPv4) or 40 (IPv6).
//!
//! Blocks lie inside each other or apart, so their borders cut the addresses into pieces that each belong to one of them.

use std::net::IpAddr;

use ipnet::IpNet;

/// No block holds the piece.
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub struct Blocks {
    v4: Pieces<u32>,
    v6: Pieces<u128>,
}

/// A piece reaches from its start to the next one's.
#[derive(Debug, Default)]
struct Pieces<A> {
    starts: Vec<A>,
    numbers: Vec<u32>,
}

/// A block: first address, prefix length, number.
type Block<A> = (A, u8, u32);

/// Blocks that were not looked up in yet.
#[derive(Debug, Default)]
pub struct Collection {
    v4: Vec<Block<u32>>,
    v6: Vec<Block<u128>>,
}

impl Collection {
    pub fn add(&mut self, block: IpNet, number: u32) {
        match block.trunc() {
            IpNet::V4(block) => self.v4.push((block.network().to_bits(), block.prefix_len(), number)),
            IpNet::V6(block) => self.v6.push((block.network().to_bits(), block.prefix_len(), number)),
        }
    }

    pub fn build(self) -> Blocks {
        Blocks { v4: Pieces::new(self.v4), v6: Pieces::new(self.v6) }
    }
}

impl Blocks {
    pub fn longest(&self, address: IpAddr) -> Option<u32> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.number(address.to_bits()),
            IpAddr::V6(address) => self.v6.number(address.to_bits()),
        }
    }
}

trait AddressBits: Copy + Ord {
    /// The last address of the block that begins here.
    fn last(self, prefix_len: u8) -> Self;
    fn next(self) -> Option<Self>;
}

impl AddressBits for u32 {
    fn last(self, prefix_len: u8) -> Self {
        self | Self::MAX.checked_shr(prefix_len.into()).unwrap_or(0)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl AddressBits for u128 {
    fn last(self, prefix_len: u8) -> Self {
        self | Self::MAX.checked_shr(prefix_len.into()).unwrap_or(0)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl<A: AddressBits> Pieces<A> {
    /// Goes along the addresses and keeps the blocks that are open: the innermost one owns the piece.
    fn new(mut blocks: Vec<Block<A>>) -> Self {
        blocks.sort_by_key(|(start, prefix_len, _)| (*start, *prefix_len)); // stable: the first of equal blocks stays the first
        blocks.dedup_by_key(|(start, prefix_len, _)| (*start, *prefix_len));
        let mut pieces = Self { starts: Vec::with_capacity(blocks.len()), numbers: Vec::with_capacity(blocks.len()) };
        let mut open: Vec<(A, u32)> = Vec::new();
        for (start, prefix_len, number) in blocks {
            while let Some((last, _)) = open.pop_if(|(last, _)| *last < start) {
                pieces.resume(last, &open);
            }
            pieces.push(start, number);
            open.push((start.last(prefix_len), number));
        }
        while let Some((last, _)) = open.pop() {
            pieces.resume(last, &open);
        }
        pieces.starts.shrink_to_fit();
        pieces.numbers.shrink_to_fit();
        pieces
    }

    /// Behind the end of a block the one around it goes on.
    fn resume(&mut self, last: A, open: &[(A, u32)]) {
        if let Some(next) = last.next() {
            self.push(next, open.last().map_or(NONE, |(_, number)| *number));
        }
    }

    fn push(&mut self, start: A, number: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.numbers.pop();
        }
        if self.numbers.last().copied().unwrap_or(NONE) != number {
            self.starts.push(start);
            self.numbers.push(number);
        }
    }

    fn number(&self, address: A) -> Option<u32> {
        let piece = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        self.numbers.get(piece).copied().filter(|number| *number != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(texts: &[&str]) -> Blocks {
        let mut collection = Collection::default();
        (0..).zip(texts).for_each(|(number, text)| collection.add(text.parse().expect("a block"), number));
        collection.build()
    }

    fn longest(blocks: &Blocks, address: &str) -> Option<u32> {
        blocks.longest(address.parse().expect("an address"))
    }

    #[test]
    fn the_innermost_block_owns_an_address_and_the_outer_one_goes_on_behind_it() {
        let blocks = blocks(&["10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24", "2001:db8::/32"]);
        for (address, number) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some(0)),
            ("10.1.0.255", Some(2)),
            ("10.1.1.0", Some(1)),
            ("10.2.0.0", Some(0)),
            ("11.0.0.0", None),
            ("::ffff:10.1.0.1", Some(2)),
            ("2001:db8:ffff::1", Some(3)),
            ("2001:db9::", None),
        ] {
            assert_eq!(longest(&blocks, address), number, "{address}");
        }
    }

    #[test]
    fn the_whole_space_and_the_last_address_are_blocks_too() {
        let blocks = blocks(&["0.0.0.0/0", "255.255.255.255/32", "::/0"]);
        assert_eq!(longest(&blocks, "255.255.255.254"), Some(0));
        assert_eq!(longest(&blocks, "255.255.255.255"), Some(1));
        assert_eq!(longest(&blocks, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(2));
    }

    #[test]
    fn of_two_equal_blocks_the_first_stays() {
        assert_eq!(longest(&blocks(&["10.0.0.0/8", "10.0.0.0/8"]), "10.0.0.1"), Some(0));
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_trying_every_block(
            drawn in prop::collection::vec((0u32..1 << 12, 20u8..=32), 0..40),
            address in 0u32..1 << 12,
        ) {
            let nets: Vec<IpNet> =
                drawn.iter().map(|(bits, len)| IpNet::new(IpAddr::V4((*bits).into()), *len).expect("a length").trunc()).collect();
            let address = IpAddr::V4(address.into());
            let mut collection = Collection::default();
            (0..).zip(&nets).for_each(|(number, net)| collection.add(*net, number));
            let tried = nets.iter().filter(|net| net.contains(&address)).max_by_key(|net| net.prefix_len());
            let found = collection.build().longest(address).map(|number| nets[number as usize]);
            prop_assert_eq!(found, tried.copied());
        }
    }
}
