//! The message (RFC 1035 section 4.1), and what two answers have in common.

use std::collections::HashSet;
use std::net::IpAddr;

use super::name::{self, normal_name};
use super::records::{Header, is_known_kind, is_known_rcode, kind};
use super::{Data, Record};
use crate::app::{Cursor, ParseError, Reading, Step};

/// Of the answer section; a response of 4,096 bytes holds no more.
const ANSWERS_MAX: usize = 256;
/// Of all sections: what stands behind them is not looked at.
const RECORDS_MAX: usize = 512;
/// More than one question is unknown outside mDNS.
const QUESTIONS_MAX: u16 = 32;
/// Aliases followed from the asked name; resolvers follow fewer.
const CHAIN_MAX: usize = 16;
const HEADER_BYTES: usize = 12;

/// A query or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub is_response: bool,
    pub opcode: u8,
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_desired: bool,
    pub recursion_available: bool,
    /// With the eight bits that EDNS puts before the four of the header (RFC 6891 section 6.1.3).
    pub rcode: u16,
    /// The first.
    pub question: Option<Question>,
    /// How many questions the header states.
    pub questions: u16,
    pub answers: Vec<Record>,
    pub edns: Option<Edns>,
    /// Every question and record that the header states was there and was read.
    pub whole: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As sent; [`super::normal_name`] gives the form to compare.
    pub name: String,
    pub kind: u16,
    pub class: u16,
}

/// The OPT record (RFC 6891).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edns {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    /// Info codes of extended errors (RFC 8914).
    pub errors: Vec<u16>,
    /// Part of the client's address was sent along (RFC 7871).
    pub client_subnet: bool,
}

/// Opcodes (RFC 1035 section 4.1.1, RFC 1996, RFC 2136, RFC 8490).
mod opcode {
    pub const QUERY: u8 = 0;
    pub const NOTIFY: u8 = 4;
    pub const UPDATE: u8 = 5;
    pub const STATEFUL: u8 = 6;
}

/// Classes (RFC 1035 section 3.2.4).
mod class {
    pub const INTERNET: u16 = 1;
    pub const CHAOS: u16 = 3;
}

/// The twelve bytes before the questions.
#[derive(Clone, Copy)]
struct Start {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Start {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            id: cursor.u16("dns.id")?,
            flags: cursor.u16("dns.flags")?,
            questions: cursor.u16("dns.questions")?,
            answers: cursor.u16("dns.answers")?,
            authorities: cursor.u16("dns.authorities")?,
            additionals: cursor.u16("dns.additionals")?,
        })
    }

    fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    fn opcode(self) -> u8 {
        (self.flags >> 11) as u8 & 0xf
    }

    fn message(self) -> Message {
        Message {
            id: self.id,
            is_response: self.is_response(),
            opcode: self.opcode(),
            authoritative: self.flags & 0x400 != 0,
            truncated: self.flags & 0x200 != 0,
            recursion_desired: self.flags & 0x100 != 0,
            recursion_available: self.flags & 0x80 != 0,
            rcode: self.flags & 0xf,
            question: None,
            questions: self.questions,
            answers: Vec::new(),
            edns: None,
            whole: false,
        }
    }

    /// The fixed bit is zero (RFC 1035 section 4.1.1, bit Z), a query reports no error, and one thing is asked; zone transfers go on without a
    /// question (RFC 5936 section 2.2.1).
    fn is_usual(self) -> bool {
        let questions = if self.opcode() == opcode::STATEFUL { 0..=0 } else { u16::from(!self.is_response())..=1 };
        let known = matches!(self.opcode(), opcode::QUERY | opcode::NOTIFY | opcode::UPDATE | opcode::STATEFUL);
        let rcode_fits = self.is_response() || self.flags & 0xf == 0;
        known && self.flags & 0x40 == 0 && rcode_fits && questions.contains(&self.questions)
    }

    /// A usual one with a question, and answers only in a response.
    fn is_plain(self) -> bool {
        self.is_usual() && self.questions == 1 && (self.is_response() || self.answers == 0)
    }
}

impl Message {
    /// Reads a datagram. An error where the header is not whole, or the first question is no question; what is missing or broken behind that ends
    /// the message.
    pub fn read(datagram: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(datagram);
        let start = Start::read(&mut cursor)?;
        let mut message = start.message();
        if start.questions > 0 {
            match Question::read(datagram, &mut cursor) {
                Ok(question) => message.question = Some(question),
                Err(ParseError::Truncated { .. }) => return Ok(message),
                Err(invalid) => return Err(invalid),
            }
        }
        message.whole = message.read_records(datagram, &mut cursor, start).is_ok_and(|whole| whole);
        Ok(message)
    }

    /// Reads a datagram of any port: only what can hardly be anything else, and not the name service of NetBIOS.
    pub fn read_strictly(datagram: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(datagram);
        let start = Start::read(&mut cursor).ok()?;
        let mut message = start.message();
        let question = Question::read(datagram, &mut cursor).ok()?;
        let asks_plainly = matches!(question.class, class::INTERNET | class::CHAOS) && is_known_kind(question.kind) && !question.is_for_netbios();
        message.question = Some(question);
        message.whole = message.read_records(datagram, &mut cursor, start).ok()?;
        let rcode_fits = if message.is_response { is_known_rcode(message.rcode) } else { message.rcode == 0 };
        (start.is_plain() && asks_plainly && rcode_fits && message.whole && cursor.is_empty()).then_some(message)
    }

    /// Reads the next message of a stream (RFC 1035 section 4.2.2).
    pub fn read_framed(stream: &[u8]) -> Step<Self> {
        read_frame(stream, Start::is_usual, |message| Self::read(message).ok())
    }

    /// Reads the next message of a stream of any port: only what can hardly be anything else.
    pub fn read_framed_strictly(stream: &[u8]) -> Step<Self> {
        read_frame(stream, Start::is_plain, Self::read_strictly)
    }

    /// What a stream that breaks off inside a message still shows of it.
    pub fn framed_so_far(stream: &[u8]) -> Option<Self> {
        match Self::read_framed(stream).reading {
            Reading::Done(message) => Some(message),
            Reading::More => Self::read(stream.get(2..)?).ok(),
            Reading::Not => None,
        }
    }

    /// Everything behind the first question; whether that was all the header states.
    fn read_records<'a>(&mut self, datagram: &'a [u8], cursor: &mut Cursor<'a>, start: Start) -> Result<bool, ParseError> {
        if start.questions > QUESTIONS_MAX {
            return Ok(false);
        }
        for _ in 1..start.questions {
            Question::read(datagram, cursor)?;
        }
        let answers = usize::from(start.answers);
        let stated = answers + usize::from(start.authorities) + usize::from(start.additionals);
        for index in 0..stated.min(RECORDS_MAX) {
            let header = Header::read(datagram, cursor)?;
            if index < answers {
                if self.answers.len() == ANSWERS_MAX {
                    return Ok(false);
                }
                self.answers.push(header.record(datagram));
            } else if header.kind == kind::OPT && self.edns.is_none() {
                let (edns, rcode) = header.edns();
                self.edns = Some(edns);
                self.rcode |= rcode;
            }
        }
        Ok(stated <= RECORDS_MAX)
    }

    /// Whether two responses say the same: rcode and the set of answers, whatever their order, letter case, lifetimes and signatures. One that was
    /// cut off says the same if the other has all that it shows.
    pub fn same_answer(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.answer_set(), other.answer_set());
        let covers = |is_cut: bool, fewer: &HashSet<_>, more: &HashSet<_>| is_cut && fewer.is_subset(more);
        self.rcode == other.rcode && (mine == theirs || covers(self.is_cut(), &mine, &theirs) || covers(other.is_cut(), &theirs, &mine))
    }

    fn is_cut(&self) -> bool {
        self.truncated || !self.whole
    }

    fn answer_set(&self) -> HashSet<(String, u16, Data)> {
        let said = self.answers.iter().filter(|record| record.kind != kind::RRSIG);
        said.map(|record| (normal_name(&record.name), record.kind, record.data.normal())).collect()
    }

    /// The answers as text, aliases and signatures left out where they were not asked for: addresses, names, other data in presentation form.
    pub fn answers_as_text(&self) -> Vec<String> {
        let asked = self.question.as_ref().map(|question| question.kind);
        let is_answer = |record: &&Record| !matches!(record.kind, kind::CNAME | kind::DNAME | kind::RRSIG) || Some(record.kind) == asked;
        self.answers.iter().filter(is_answer).map(|record| record.data.to_string()).collect()
    }

    /// The names that the asked one stands for, in the order sent.
    pub fn cnames(&self) -> Vec<&str> {
        self.answers.iter().filter_map(|record| if let Data::Cname(name) = &record.data { Some(name.as_str()) } else { None }).collect()
    }

    /// The shortest lifetime of an answer, in seconds.
    pub fn min_ttl(&self) -> Option<u32> {
        self.answers.iter().map(|record| record.ttl).min()
    }

    /// Addresses that the asked name has by this answer, hints of HTTPS records among them, each with its lifetime in seconds.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        let chain = self.chain();
        let belongs = move |record: &&Record| chain.as_ref().is_none_or(|chain| chain.contains(&normal_name(&record.name)));
        self.answers.iter().filter(belongs).flat_map(|record| record.data.addresses().into_iter().map(|address| (address, record.ttl)))
    }

    /// The asked name and those it stands for. None where nothing is asked, as in mDNS.
    fn chain(&self) -> Option<Vec<String>> {
        let mut chain = vec![normal_name(&self.question.as_ref()?.name)];
        while let Some(next) = self.behind(chain.last()?).filter(|next| chain.len() < CHAIN_MAX && !chain.contains(next)) {
            chain.push(next);
        }
        Some(chain)
    }

    fn behind(&self, name: &str) -> Option<String> {
        self.answers.iter().filter(|record| normal_name(&record.name) == name).find_map(|record| match &record.data {
            Data::Cname(target) => Some(normal_name(target)),
            Data::Service(service) if service.target != "." => Some(normal_name(&service.target)),
            _ => None,
        })
    }
}

/// A length, and a message behind it whose header fits.
fn read_frame(stream: &[u8], fits: impl Fn(Start) -> bool, read: impl Fn(&[u8]) -> Option<Message>) -> Step<Message> {
    let (used, reading) = match stream.split_first_chunk() {
        None => (0, Reading::More),
        Some((length, behind)) => {
            let length = usize::from(u16::from_be_bytes(*length));
            let is_odd = Start::read(&mut Cursor::new(behind)).is_ok_and(|start| !fits(start));
            match behind.get(..length) {
                _ if length < HEADER_BYTES || is_odd => (0, Reading::Not),
                None => (0, Reading::More),
                Some(message) => read(message).map_or((0, Reading::Not), |message| (2 + length, Reading::Done(message))),
            }
        }
    };
    Step { used, reading }
}

impl Question {
    /// A name in the encoding of RFC 1001 section 14.1, which NetBIOS asks for in messages of the same form.
    fn is_for_netbios(&self) -> bool {
        let label = self.name.split('.').next().unwrap_or_default();
        label.len() == 32 && label.bytes().all(|byte| matches!(byte, b'A'..=b'P'))
    }

    fn read<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        Ok(Self { name: name::read(message, cursor)?, kind: cursor.u16("dns.question.type")?, class: cursor.u16("dns.question.class")? })
    }
}
