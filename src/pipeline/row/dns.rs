//! The row of a DNS transaction.

use std::fmt::Write;

use crate::app::dns;
use crate::model::rows::{DnsLearnt, DnsRow, Responses};
use crate::shard::{Response, Transaction};

use super::names::numbers;
use super::{Rows, flow_id};

impl Rows<'_> {
    pub fn dns_row(&self, transaction: Transaction) -> DnsRow {
        let Transaction { of, client, packet, time, id, kind, queries, response_count, .. } = transaction;
        let (_, source) = self.interface(of.key.interface);
        let first = transaction.responses.first();
        let message = first.map(|response| &response.message);
        let since = |response: &Response| (response.time - time).as_ms();
        DnsRow {
            flow_id: flow_id(&source, &of.key, of.start, of.first_seq),
            source,
            capture: self.path(packet.file()),
            packet: packet.number() as i64,
            time,
            client_ip: of.key.ip(client).to_string(),
            resolver_ip: of.key.ip(client.opposite()).to_string(),
            transport: of.transport,
            id: id.into(),
            qtype: dns::kind_name(kind),
            rcode: message.map(|message| dns::rcode_name(message.rcode)),
            answers: message.map(|message| message.answers_as_text()).unwrap_or_default(),
            cnames: message.map(|message| message.cnames().into_iter().map(dns::normal_name).collect()).unwrap_or_default(),
            min_ttl_s: message.and_then(|message| message.min_ttl()).map(i64::from),
            latency_ms: first.filter(|_| queries > 0).map(since),
            truncated: message.map(|message| message.truncated),
            extended_errors: message.and_then(|message| message.edns.as_ref()).map(|edns| numbers(&edns.errors)).unwrap_or_default(),
            query_count: queries.into(),
            response_count: response_count.into(),
            conflicting: transaction.is_conflicting(),
            service: self.catalog.by_host(&transaction.name).map(|member| member.service),
            learnt: learnt(&transaction.responses, kind),
            responses: Responses {
                says: transaction.responses.iter().map(|response| said(&response.message)).collect(),
                captures: transaction.responses.iter().map(|response| self.path(response.packet.file())).collect(),
                packets: transaction.responses.iter().map(|response| response.packet.number() as i64).collect(),
                ms: transaction.responses.iter().map(since).collect(),
            },
            qname: transaction.name,
        }
    }
}

/// A response in one line.
fn said(message: &dns::Message) -> String {
    let mut text = dns::rcode_name(message.rcode);
    for answer in message.answers_as_text() {
        let _never_fails = write!(text, " {answer}");
    }
    text
}

/// What the client may act on, whichever response it believed.
fn learnt(responses: &[Response], kind: u16) -> DnsLearnt {
    const HTTPS: u16 = 65;
    let mut learnt = DnsLearnt { answered_https: kind == HTTPS && !responses.is_empty(), ..DnsLearnt::default() };
    for response in responses {
        for (address, _) in response.message.addresses() {
            let address = address.to_string();
            if !learnt.addresses.contains(&address) {
                learnt.addresses.push(address);
            }
        }
        for record in &response.message.answers {
            if let dns::Data::Service(service) = &record.data {
                learnt.ech_names.extend(service.ech.iter().map(|config| config.public_name.clone()));
                learnt.ech_ids.extend(service.ech.iter().map(|config| i32::from(config.config_id)));
            }
        }
    }
    learnt
}
