//! Values at numbered places, in chunks: growing moves nothing, and at the end memory is given back piece by piece.

const CHUNK: usize = 1_024;

pub struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a value at a place that is free; the same places in the same order, whatever the machine.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop()
            && let Some(place) = self.place(at)
        {
            *place = Some(value);
            return at;
        }
        let at = self.places() as u32;
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(Some(value)),
            None => {
                // The first chunk grows as it fills: most shards of a small capture hold a handful of flows.
                let mut chunk = Vec::with_capacity(if self.chunks.is_empty() { 1 } else { CHUNK });
                chunk.push(Some(value));
                self.chunks.push(chunk);
            }
        }
        at
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        self.chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)?.as_ref()
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.place(at)?.as_mut()
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.place(at)?.take()?;
        self.free.push(at);
        Some(value)
    }

    /// Places so far, free ones included.
    pub fn places(&self) -> usize {
        self.chunks.len().saturating_sub(1) * CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    /// All values with their places.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flatten().enumerate().filter_map(|(at, value)| Some((at as u32, value.as_ref()?)))
    }

    /// Takes the last chunk with what is in it; the places before it stay as they are.
    pub fn pop_chunk(&mut self) -> Option<impl Iterator<Item = T> + use<T>> {
        self.free.clear();
        self.chunks.pop().map(|chunk| chunk.into_iter().flatten())
    }

    fn place(&mut self, at: u32) -> Option<&mut Option<T>> {
        self.chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_at_its_place_while_others_come_and_go() {
        let mut slab = Slab::default();
        let places: Vec<u32> = (0..3_000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.remove(places[1_500]), Some(1_500));
        assert_eq!(slab.remove(places[1_500]), None);
        assert_eq!((slab.get(places[1_499]), slab.get(places[1_500]), slab.get(places[2_999])), (Some(&1_499), None, Some(&2_999)));
        assert_eq!(slab.insert(7), places[1_500], "the free place is used again");
        assert_eq!(slab.places(), 3_000);
    }

    #[test]
    fn chunks_give_out_each_value_once() {
        let mut slab = Slab::default();
        (0..2_500).for_each(|value| _ = slab.insert(value));
        slab.remove(100);
        let mut left = Vec::new();
        while let Some(chunk) = slab.pop_chunk() {
            left.extend(chunk);
        }
        left.sort_unstable();
        assert_eq!(left, (0..2_500).filter(|value| *value != 100).collect::<Vec<_>>());
    }
}
