//! What a flow learns from others: a name from an answer of DNS, or all of it from the connection that it goes on with.
//!
//! In:  flows that do not say by themselves what they are for, or not all of it.
//! Out: what the others add. A name that the flow itself showed is never replaced.

use crate::model::words::{Ech, HostSource};
use crate::service::{Catalog, Membership};

use super::answers::{self, Answers};
use super::moves::{Moves, QuicFlow};

/// A flow that may learn from others.
#[derive(Clone, Copy, Debug)]
pub struct OpenFlow<'a> {
    pub client_ip: &'a str,
    pub sni: Option<&'a str>,
    /// The id in its ECH extension.
    pub ech_config: Option<i64>,
    pub quic: QuicFlow<'a>,
}

/// What is added; nothing where all is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub host: Option<(String, HostSource)>,
    pub membership: Option<Membership>,
    pub ech: Option<Ech>,
    /// The flow that it goes on with: then it is QUIC.
    pub continues: Option<i64>,
}

/// What all answers and connections told.
#[derive(Debug, Default)]
pub struct Naming {
    pub answers: Answers,
    pub moves: Moves,
}

impl OpenFlow<'_> {
    /// Hashes of what others would have to know to tell anything of this flow.
    pub fn questions(&self) -> impl Iterator<Item = u64> + use<> {
        let QuicFlow { source, server_ip, flow_id, host, .. } = self.quic;
        let address = host.is_none().then(|| answers::of_address(source, self.client_ip, server_ip));
        let hidden = self.ech_config.zip(self.sni).map(|(config, sni)| answers::of_ech(source, self.client_ip, sni, config));
        let moved = self.quic.goes_on_with.map(|_| flow_id as u64);
        [address, moved].into_iter().chain(hidden.into_iter().flatten().map(Some)).flatten()
    }
}

impl Naming {
    /// Whether anything is known that a question asks for.
    pub fn answers(&self, question: u64) -> bool {
        self.answers.knows(question) || self.moves.forerunner(question as i64).is_some()
    }

    pub fn tell(&self, flow: &OpenFlow<'_>, catalog: &Catalog) -> Told {
        let QuicFlow { source, server_ip, start, flow_id, host, .. } = flow.quic;
        let before = self.moves.forerunner(flow_id);
        let asked_before = before.and_then(|part| Some((part.host.as_deref()?, HostSource::QuicSni)));
        let answered = || self.answers.host(source, flow.client_ip, server_ip, start).map(|name| (name, HostSource::Dns));
        let name = if host.is_some() { None } else { asked_before.or_else(answered) };
        let ech = flow.ech_config.zip(flow.sni).map(|(config, sni)| self.answers.ech(source, flow.client_ip, sni, config, start));
        Told {
            host: name.map(|(name, source)| (name.to_string(), source)),
            membership: name.and_then(|(name, _)| catalog.by_host(name)),
            ech: ech.filter(|ech| *ech != Ech::Unknown),
            continues: before.map(|part| part.flow_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Answer;
    use crate::model::words::Role;

    fn flow() -> OpenFlow<'static> {
        let quic = QuicFlow {
            source: "probe",
            server_ip: "157.240.1.61",
            server_port: 443,
            flow_id: 1,
            start: 2_000_000,
            server_id: None,
            goes_on_with: None,
            host: None,
        };
        OpenFlow { client_ip: "10.0.0.1", sni: None, ech_config: None, quic }
    }

    fn naming() -> Naming {
        let mut naming = Naming::default();
        let answer = Answer { source: "probe", client_ip: "10.0.0.1", name: "g.whatsapp.net", time: 1_000_000, ttl_s: 60 };
        naming.answers.learn_address(&answer, "157.240.1.61");
        naming.answers.learn_config(&answer, "cloudflare-ech.com", 9);
        naming
    }

    #[test]
    fn an_answer_gives_a_nameless_flow_its_host_and_service() {
        let catalog = Catalog::built_in().expect("valid");
        let told = naming().tell(&flow(), &catalog);
        assert_eq!(told.host, Some(("g.whatsapp.net".into(), HostSource::Dns)));
        assert_eq!(told.membership.map(|member| (member.service.to_string(), member.role)), Some(("whatsapp".into(), Some(Role::Chat))));
    }

    #[test]
    fn a_name_of_its_own_is_never_replaced() {
        let catalog = Catalog::built_in().expect("valid");
        let mut named = flow();
        named.quic.host = Some("www.example.org");
        (named.sni, named.ech_config) = (Some("cloudflare-ech.com"), Some(9));
        let told = naming().tell(&named, &catalog);
        assert_eq!(told, Told { ech: Some(Ech::Real), ..Told::default() });
    }
}
