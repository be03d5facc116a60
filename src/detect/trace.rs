//! What a [`Trace`] becomes: the conversation that a shard makes of it, and what an item sees in it.

use crate::app::tls::build;
use crate::flow::Timeouts;
use crate::model::Direction;
use crate::packet::trace::Trace;
use crate::shard::{Conversation, Shard};

use super::Item;

impl Trace {
    pub fn client_hello(self, name: &str) -> Self {
        self.client_bytes(&build::client_hello(name))
    }

    pub fn server_hello(self) -> Self {
        self.server_bytes(&build::server_hello())
    }

    /// The only conversation.
    pub fn conversation(&self) -> Conversation {
        let (packets, round) = self.packets();
        let mut shard = Shard::new(Timeouts::default(), usize::MAX);
        packets.iter().for_each(|packet| shard.update(packet, &round));
        let mut ended = shard.take_ended().conversations;
        ended.extend(shard.finish_some(self.end(), self.end()).conversations);
        assert_eq!(ended.len(), 1, "a scene is one conversation");
        ended.remove(0)
    }

    /// Name and packets of what an item sees in one direction.
    pub fn shows(&self, item: Item, direction: Direction) -> Option<(&'static str, Vec<u64>)> {
        let conversation = self.conversation();
        let view = super::view(&conversation).expect("a scene is TCP");
        item(&view, direction).map(|evidence| (evidence.id, evidence.packets.iter().map(|packet| packet.number()).collect()))
    }
}
