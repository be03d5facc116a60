//! What a segment is to its connection, in one word.

/// What a segment is, as far as the capture has seen the connection: the words of RFC 9293, RFC 5681 and tshark's TCP analysis. A segment has one: where
/// several fit, what its own bytes are comes before what it acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing to remark: bytes not seen before, or an acknowledgement that moves on.
    #[default]
    Original,
    /// Sends sequence space again: payload, a SYN or a FIN.
    Retransmission,
    /// The same right behind duplicate acknowledgements that ask for it (RFC 5681 section 3.2).
    FastRetransmission,
    /// Sends payload again that the peer had acknowledged before it passed the capture.
    SpuriousRetransmission,
    /// Was overtaken: fills a hole sooner than its sender can know of one.
    OutOfOrder,
    /// One byte or none below the next sequence number, to be answered (RFC 9293 section 3.8.4).
    KeepAlive,
    /// The acknowledgement that answers it.
    KeepAliveAck,
    /// Asks whether a closed window has opened (RFC 9293 section 3.8.6.1).
    WindowProbe,
    /// The acknowledgement that says that it has not.
    WindowProbeAck,
    /// Repeats the last acknowledgement with another window.
    WindowUpdate,
    /// An acknowledgement that closes the window.
    ZeroWindow,
    /// Repeats the last acknowledgement while bytes are under way (RFC 5681 section 2).
    DuplicateAck,
    /// Acknowledges bytes that the capture has not seen.
    AckOfUnseen,
    /// Its sequence number lies beyond any window: of another connection, or forged. It moves nothing.
    Foreign,
}

impl Kind {
    /// Whether it sends again what was sent before.
    pub fn is_retransmission(self) -> bool {
        matches!(self, Self::Retransmission | Self::FastRetransmission | Self::SpuriousRetransmission)
    }
}
