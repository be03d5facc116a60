//! The bytes of one layer, and how many of them the layers around it say were on the wire.

/// Reads at offsets of bytes that anyone may have written. Never outside, never copies.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// What the capture holds of the layer.
    pub bytes: &'a [u8],
    /// Where they begin in the round.
    pub start: u32,
    /// Bytes of the layer on the wire: more than `bytes` where the capture was snapped.
    pub on_wire: u32,
}

impl<'a> View<'a> {
    pub fn new(bytes: &'a [u8], start: u32, on_wire: u32) -> Self {
        Self { bytes, start, on_wire: on_wire.max(bytes.len() as u32) }
    }

    /// What comes behind `count` bytes; none where the capture ends before.
    #[inline]
    pub fn skip(self, count: usize) -> Option<Self> {
        let bytes = self.bytes.get(count..)?;
        Some(Self { bytes, start: self.start.saturating_add(count as u32), on_wire: self.on_wire.saturating_sub(count as u32) })
    }

    /// No more than `on_wire` bytes: what stands behind them is padding or a trailer.
    pub fn limit(self, on_wire: u32) -> Self {
        self.claim(on_wire.min(self.on_wire))
    }

    /// As many bytes as a header states, even where the layer around it states fewer.
    #[inline]
    pub fn claim(self, on_wire: u32) -> Self {
        Self { bytes: self.bytes.get(..on_wire as usize).unwrap_or(self.bytes), on_wire, ..self }
    }

    pub fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    pub fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    #[inline]
    pub fn be16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub fn be32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// Three bytes, as network identifiers are written.
    pub fn be24(&self, at: usize) -> Option<u32> {
        let [a, b, c] = self.array(at)?;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    pub fn le16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn le32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
}
