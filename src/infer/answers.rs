//! What clients were told by DNS: names of the addresses that they then connect to, and configurations for Encrypted ClientHello.
//!
//! In:  the answers of all transactions, in the order of their time.
//! Out: the name by which a client knew an address when it connected; what an ECH extension was.
//! Promises: an answer names only what this client does at this capture point, after the answer and while it may still be in use; the latest one wins.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::model::words::Ech;

use super::hash;

/// How long an address is used at the least, in microseconds, whatever its TTL: programs keep addresses beyond it (by design: one hour).
const USED_AT_LEAST: i64 = 3_600_000_000;
/// Answers that are remembered: some 400 MB. The rest is told in [`Answers::forgotten`].
const TOLD_MAX: usize = 8 * 1024 * 1024;

/// One answer that a client got.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub source: &'a str,
    pub client_ip: &'a str,
    /// As asked, in lower case.
    pub name: &'a str,
    /// Microseconds.
    pub time: i64,
    pub ttl_s: i64,
}

/// All answers, by who got them.
#[derive(Debug, Default)]
pub struct Answers {
    /// By source, client and address, in the order of time.
    told: HashMap<u64, Vec<Told>, FixedState>,
    names: Vec<Box<str>>,
    name_ids: HashMap<Box<str>, u32, FixedState>,
    /// When a client first got a configuration: by source, client, public name and config id.
    configs: HashMap<u64, i64, FixedState>,
    /// HTTPS records that a client got for a name: by source, client and name.
    https: HashMap<u64, Vec<i64>, FixedState>,
    count: usize,
    forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    name: u32,
    from: i64,
    until: i64,
}

impl Answers {
    /// The address stood in the answer.
    pub fn learn_address(&mut self, answer: &Answer<'_>, address: &str) {
        if self.is_full() {
            return;
        }
        let name = self.id_of(answer.name);
        let until = answer.time.saturating_add(answer.ttl_s.saturating_mul(1_000_000).max(USED_AT_LEAST));
        let told = self.told.entry(of_address(answer.source, answer.client_ip, address)).or_default();
        match told.last_mut() {
            Some(last) if last.name == name && answer.time <= last.until => last.until = last.until.max(until),
            _ => {
                told.push(Told { name, from: answer.time, until });
                self.count += 1;
            }
        }
    }

    /// The answer held a configuration for Encrypted ClientHello (RFC 9849 section 4).
    pub fn learn_config(&mut self, answer: &Answer<'_>, public_name: &str, config_id: i64) {
        if self.is_full() {
            return;
        }
        let [config, _] = of_ech(answer.source, answer.client_ip, public_name, config_id);
        self.configs.entry(config).or_insert(answer.time);
        self.count += 1;
    }

    /// The answer was one for HTTPS records (RFC 9460 section 9), whether it had any or none.
    pub fn learn_https(&mut self, answer: &Answer<'_>) {
        if !self.is_full() {
            let [_, https] = of_ech(answer.source, answer.client_ip, answer.name, 0);
            self.https.entry(https).or_default().push(answer.time);
            self.count += 1;
        }
    }

    fn is_full(&mut self) -> bool {
        let full = self.count >= TOLD_MAX;
        self.forgotten += u64::from(full);
        full
    }

    /// Answers that were not remembered for want of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether anything is known under a hash of `of_address` or `of_ech`.
    pub fn knows(&self, question: u64) -> bool {
        self.told.contains_key(&question) || self.configs.contains_key(&question) || self.https.contains_key(&question)
    }

    /// The name by which the client knew the address at a time.
    pub fn host(&self, source: &str, client_ip: &str, address: &str, time: i64) -> Option<&str> {
        let told = self.told.get(&of_address(source, client_ip, address))?;
        let latest = told.iter().rev().filter(|told| told.from <= time && time <= told.until).max_by_key(|told| told.from)?;
        self.names.get(latest.name as usize).map(|name| &**name)
    }

    /// What an ECH extension in a ClientHello with this outer name was. It is real where the client had been given a configuration with this public name
    /// and id, and GREASE where it had an answer for the HTTPS records of the very name that the hello shows: a client with a configuration hides that name.
    pub fn ech(&self, source: &str, client_ip: &str, sni: &str, config_id: i64, time: i64) -> Ech {
        let before = |learnt: &i64| *learnt <= time;
        let [config, https] = of_ech(source, client_ip, sni, config_id);
        if self.configs.get(&config).is_some_and(before) {
            return Ech::Real;
        }
        let asked = self.https.get(&https).is_some_and(|times| times.iter().any(before));
        if asked { Ech::Grease } else { Ech::Unknown }
    }

    fn id_of(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.name_ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.into());
        self.name_ids.insert(name.into(), id);
        id
    }
}

/// Stands for the names by which a client knows an address.
pub fn of_address(source: &str, client_ip: &str, address: &str) -> u64 {
    hash(("address", source, client_ip, address))
}

/// Stand for a configuration that a client got for an outer name, and for the HTTPS records of that name, in letters of any case.
pub fn of_ech(source: &str, client_ip: &str, name: &str, config_id: i64) -> [u64; 2] {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    [hash(("config", source, client_ip, name, config_id)), hash(("https", source, client_ip, name))]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn told(answers: &mut Answers, client: &str, name: &str, address: &str, at_s: i64, ttl_s: i64) {
        answers.learn_address(&Answer { source: "probe", client_ip: client, name, time: at_s * SECOND, ttl_s }, address);
    }

    #[test]
    fn an_answer_names_what_this_client_does_after_it() {
        let mut answers = Answers::default();
        told(&mut answers, "10.0.0.1", "g.whatsapp.net", "157.240.1.61", 100, 60);
        let host = |source, client, at_s: i64| answers.host(source, client, "157.240.1.61", at_s * SECOND);
        assert_eq!(host("probe", "10.0.0.1", 101), Some("g.whatsapp.net"));
        assert_eq!(host("probe", "10.0.0.1", 99), None, "not known yet");
        assert_eq!(host("probe", "10.0.0.2", 101), None, "another client");
        assert_eq!(host("other", "10.0.0.1", 101), None, "another network");
        assert_eq!(host("probe", "10.0.0.1", 100 + 3_600), Some("g.whatsapp.net"));
        assert_eq!(host("probe", "10.0.0.1", 100 + 3_601), None, "too long ago");
    }

    #[test]
    fn of_several_names_of_one_address_the_latest_counts() {
        let mut answers = Answers::default();
        told(&mut answers, "c", "one.example", "192.0.2.1", 10, 60);
        told(&mut answers, "c", "two.example", "192.0.2.1", 20, 60);
        told(&mut answers, "c", "one.example", "192.0.2.1", 30, 86_400);
        let host = |at_s: i64| answers.host("probe", "c", "192.0.2.1", at_s * SECOND);
        assert_eq!((host(15), host(25), host(35)), (Some("one.example"), Some("two.example"), Some("one.example")));
        assert_eq!(host(80_000), Some("one.example"), "a long TTL is kept");
    }

    #[test]
    fn ech_is_real_only_with_a_configuration_that_this_client_got() {
        let mut answers = Answers::default();
        let answer = Answer { source: "probe", client_ip: "c", name: "hidden.example", time: 10, ttl_s: 60 };
        answers.learn_https(&answer);
        answers.learn_config(&answer, "Front.example", 7);
        assert_eq!(answers.ech("probe", "c", "front.example", 7, 11), Ech::Real);
        assert_eq!(answers.ech("probe", "c", "front.example", 8, 11), Ech::Unknown, "another configuration");
        assert_eq!(answers.ech("probe", "d", "front.example", 7, 11), Ech::Unknown, "another client");
        assert_eq!(answers.ech("probe", "c", "front.example", 7, 9), Ech::Unknown, "before it");
        assert_eq!(answers.ech("probe", "c", "hidden.example", 9, 11), Ech::Grease, "who has a configuration hides the name");
    }
}
