//! Queries of DNS and their responses, put together within a flow.

use std::collections::VecDeque;

use crate::app::dns::{self, Message};
use crate::flow::Flow;
use crate::model::words::DnsTransport;
use crate::model::{FlowKey, PacketNumber, Protocol, SeqNumber, Side, Span, Timestamp};

/// A transaction without a further message for this long has ended (by design: twice the 5 s after which stub resolvers ask again, twice over).
const PATIENCE: Span = Span::from_secs(20);
/// Transactions of one flow that are open at once; beyond it the oldest ends.
const OPEN_MAX: usize = 256;
/// Responses of one transaction that are kept.
const RESPONSES_MAX: usize = 16;

/// A query with all its responses, or responses whose query was not captured.
#[derive(Debug)]
pub struct Transaction {
    pub of: FlowOf,
    pub client: Side,
    pub packet: PacketNumber,
    pub time: Timestamp,
    pub id: u16,
    pub name: String,
    pub kind: u16,
    pub queries: u32,
    pub response_count: u32,
    /// The first ones.
    pub responses: Vec<Response>,
    last: Timestamp,
}

/// What identifies the flow of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct FlowOf {
    pub key: FlowKey,
    pub start: Timestamp,
    pub first_seq: Option<SeqNumber>,
    pub transport: DnsTransport,
}

#[derive(Debug)]
pub struct Response {
    pub packet: PacketNumber,
    pub time: Timestamp,
    pub message: Message,
}

/// The transactions of one flow that may go on.
#[derive(Debug, Default)]
pub struct Transactions {
    open: VecDeque<Transaction>,
}

/// Takes the messages of one flow, whichever reader finds them.
pub struct Messages<'a> {
    pub flow: &'a Flow,
    pub transactions: &'a mut Option<Box<Transactions>>,
    pub ended: &'a mut Vec<Transaction>,
    /// Who asked, once a message was seen.
    pub client: Option<Side>,
}

impl Messages<'_> {
    pub fn take(&mut self, sender: Side, message: Message, at: (Timestamp, PacketNumber)) {
        self.client = Some(if message.is_response { sender.opposite() } else { sender });
        self.transactions.get_or_insert_default().take(FlowOf::of(self.flow), sender, message, at, self.ended);
    }

    /// No message will follow.
    pub fn end(self) {
        if let Some(transactions) = self.transactions {
            transactions.end(FlowOf::of(self.flow), self.ended);
        }
    }
}

impl FlowOf {
    fn of(flow: &Flow) -> Self {
        let transport = if flow.key.protocol == Protocol::TCP { DnsTransport::Tcp } else { DnsTransport::Udp };
        Self { key: flow.key, start: flow.start, first_seq: flow.first_seq(), transport }
    }
}

impl Transactions {
    /// Takes in a message that a side sent; what has ended goes to `ended`. Messages without a question tell nothing that could be joined.
    pub fn take(&mut self, of: FlowOf, sender: Side, message: Message, at: (Timestamp, PacketNumber), ended: &mut Vec<Transaction>) {
        let (time, packet) = at;
        while self.open.front().is_some_and(|oldest| time - oldest.last > PATIENCE) || self.open.len() > OPEN_MAX {
            ended.extend(self.open.pop_front().map(|transaction| Transaction { of, ..transaction }));
        }
        let Some(question) = &message.question else { return };
        let name = dns::normal_name(&question.name);
        let client = if message.is_response { sender.opposite() } else { sender };
        let same = |open: &Transaction| open.client == client && open.id == message.id && open.kind == question.kind && open.name == name;
        // The latest of its kind: an id may come again.
        let known = self.open.iter().rposition(same).filter(|&at| message.is_response || self.open[at].responses.is_empty());
        let at = known.unwrap_or_else(|| {
            let (id, kind) = (message.id, question.kind);
            self.open.push_back(Transaction {
                of,
                client,
                packet,
                time,
                id,
                name,
                kind,
                queries: 0,
                response_count: 0,
                responses: Vec::new(),
                last: time,
            });
            self.open.len() - 1
        });
        let transaction = &mut self.open[at];
        transaction.last = time;
        if !message.is_response {
            transaction.queries += 1;
            return;
        }
        transaction.response_count += 1;
        if transaction.responses.len() < RESPONSES_MAX {
            transaction.responses.push(Response { packet, time, message });
        }
    }

    /// No message will follow.
    pub fn end(&mut self, of: FlowOf, ended: &mut Vec<Transaction>) {
        ended.extend(self.open.drain(..).map(|transaction| Transaction { of, ..transaction }));
    }

    /// Bytes that it keeps.
    pub fn held(&self) -> usize {
        self.open.capacity() * size_of::<Transaction>()
    }
}

impl Transaction {
    /// Whether two responses say different things.
    pub fn is_conflicting(&self) -> bool {
        let Some((first, others)) = self.responses.split_first() else { return false };
        others.iter().any(|other| !first.message.same_answer(&other.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, FileId};

    const CLIENT: Side = Side::High;
    const RESOLVER: Side = Side::Low;

    fn of() -> FlowOf {
        let ends = ((Address::v4([192, 0, 2, 10]), 40_000), (Address::v4([192, 0, 2, 1]), 53));
        let (key, _) = FlowKey::new(Protocol::UDP, 4, 0, ends.0, ends.1);
        FlowOf { key, start: Timestamp(0), first_seq: None, transport: DnsTransport::Udp }
    }

    /// A message about `t.me`; an answer where the last byte of an address is given.
    fn message(id: u16, answer: Option<u8>) -> Message {
        let flags = if answer.is_some() { [0x81, 0x80] } else { [1, 0] };
        let head = [&id.to_be_bytes()[..], &flags, &[0, 1, 0, answer.is_some().into(), 0, 0, 0, 0], b"\x01t\x02me\x00\x00\x01\x00\x01"].concat();
        let record = answer.map_or_else(Vec::new, |last| [&b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"[..], &[192, 0, 2, last]].concat());
        Message::read(&[head, record].concat()).expect("a message")
    }

    struct Scene {
        transactions: Transactions,
        ended: Vec<Transaction>,
        packets: u64,
    }

    impl Scene {
        fn new() -> Self {
            Self { transactions: Transactions::default(), ended: Vec::new(), packets: 0 }
        }

        fn at(mut self, second: i64, sender: Side, message: Message) -> Self {
            self.packets += 1;
            let at = (Timestamp(second * 1_000_000_000), PacketNumber::new(FileId(0), self.packets));
            self.transactions.take(of(), sender, message, at, &mut self.ended);
            self
        }

        fn end(mut self) -> Vec<Transaction> {
            self.transactions.end(of(), &mut self.ended);
            self.ended
        }
    }

    fn counts(ended: &[Transaction]) -> Vec<(u16, u32, u32, bool)> {
        ended.iter().map(|open| (open.id, open.queries, open.response_count, open.is_conflicting())).collect()
    }

    #[test]
    fn a_query_that_is_repeated_and_answered_is_one_transaction() {
        let scene = Scene::new().at(0, CLIENT, message(1, None)).at(5, CLIENT, message(1, None)).at(6, RESOLVER, message(1, Some(9)));
        let ended = scene.end();
        assert_eq!(counts(&ended), [(1, 2, 1, false)]);
        assert_eq!((ended[0].packet.number(), ended[0].client, ended[0].name.as_str()), (1, CLIENT, "t.me"));
    }

    #[test]
    fn responses_that_differ_are_kept_apart() {
        let scene = Scene::new().at(0, CLIENT, message(1, None)).at(0, RESOLVER, message(1, Some(9))).at(1, RESOLVER, message(1, Some(8)));
        assert_eq!(counts(&scene.end()), [(1, 1, 2, true)]);
        let scene = Scene::new().at(0, CLIENT, message(1, None)).at(0, RESOLVER, message(1, Some(9))).at(1, RESOLVER, message(1, Some(9)));
        assert_eq!(counts(&scene.end()), [(1, 1, 2, false)]);
    }

    #[test]
    fn an_id_that_comes_again_after_its_answer_is_another_transaction() {
        let scene = Scene::new().at(0, CLIENT, message(1, None)).at(1, RESOLVER, message(1, Some(9))).at(2, CLIENT, message(1, None));
        assert_eq!(counts(&scene.end()), [(1, 1, 1, false), (1, 1, 0, false)]);
    }

    #[test]
    fn a_response_without_its_query_has_a_row_of_its_own() {
        let ended = Scene::new().at(0, RESOLVER, message(7, Some(9))).end();
        assert_eq!(counts(&ended), [(7, 0, 1, false)]);
        assert_eq!(ended[0].client, CLIENT);
    }

    #[test]
    fn silence_ends_a_transaction_while_the_flow_goes_on() {
        let scene = Scene::new().at(0, CLIENT, message(1, None)).at(30, CLIENT, message(2, None));
        assert_eq!(counts(&scene.ended), [(1, 1, 0, false)]);
    }

    #[test]
    fn a_flood_keeps_no_more_than_its_bounds() {
        let mut scene = Scene::new();
        for id in 0..1_000 {
            scene = scene.at(0, CLIENT, message(id, None));
        }
        assert!(scene.transactions.open.len() <= OPEN_MAX + 1);
        for _ in 0..100 {
            scene = scene.at(0, RESOLVER, message(999, Some(9)));
        }
        let ended = scene.end();
        assert_eq!(ended.len(), 1_000, "each query has its row");
        assert_eq!((ended[999].response_count, ended[999].responses.len()), (100, RESPONSES_MAX));
    }
}
