//! A flow of datagrams: what was asked, and whether anything came back.

use crate::model::words::PayloadFate;
use crate::model::{Side, Span, Timestamp};
use crate::shard::{Conversation, Datagram};

/// A UDP conversation with its features, as the items see it.
pub struct DatagramView<'a> {
    pub conversation: &'a Conversation,
    /// The first ones with payload, of either side.
    pub datagrams: &'a [Datagram],
    /// Of the client's first payload.
    pub fate: PayloadFate,
}

impl<'a> DatagramView<'a> {
    /// None for flows of other transports, and for those without payload.
    pub fn new(conversation: &'a Conversation) -> Option<Self> {
        let datagrams = conversation.facts()?.datagrams.as_slice();
        let client = conversation.client;
        let fate = match (datagrams.iter().any(|datagram| datagram.sender == client), answered(conversation)) {
            (false, _) => PayloadFate::NoPayload,
            (true, true) => PayloadFate::Answered,
            (true, false) => PayloadFate::NeverAcked,
        };
        (!datagrams.is_empty()).then_some(Self { conversation, datagrams, fate })
    }

    pub fn client(&self) -> Side {
        self.conversation.client
    }

    /// The client's datagrams among the first.
    pub fn asked(&self) -> impl Iterator<Item = &'a Datagram> + use<'a> {
        let client = self.client();
        self.datagrams.iter().filter(move |datagram| datagram.sender == client)
    }

    /// Whether the client says hello in QUIC.
    pub fn has_quic_hello(&self) -> bool {
        let facts = self.conversation.facts();
        facts.is_some_and(|facts| facts.quic.as_ref().is_some_and(|quic| facts.client_hello.is_some() || quic.has_hello()))
    }

    /// From the first question to the first answer, or to the last question.
    pub fn waited(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.asked().next()?.time;
        let answer = self.datagrams.iter().find(|datagram| datagram.sender != self.client() && datagram.time >= first);
        Some((first, answer.map_or(self.conversation.flow.volume[self.client()].last, |answer| answer.time)))
    }

    /// Over how long the client asked.
    pub fn asked_for(&self) -> Span {
        let volume = &self.conversation.flow.volume[self.client()];
        volume.last - volume.first
    }
}

fn answered(conversation: &Conversation) -> bool {
    conversation.flow.volume[conversation.client.opposite()].packets > 0
}
