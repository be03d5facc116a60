//! Zeek's state of a connection: what each end has shown, and the word for both.
//!
//! The steps are those of Zeek's TCP analyzer. Zeek ends a connection by timers of its own and begins another with the next packet; here the flow goes on,
//! so that where both ends reset, the first of them names the state, as it does in Zeek when the second comes later than 5 ms.

use crate::model::words::TcpState;
use crate::model::{PerSide, Side};
use crate::packet::TcpFlags;

use super::history::History;

/// What an end has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Inactive,
    /// A SYN and nothing that answered it.
    SynSent,
    /// Something else than a SYN came first.
    Partial,
    Established,
    /// A FIN.
    Closed,
    Reset,
}

/// Both ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    now: PerSide<End>,
    /// Before the last change.
    before: PerSide<End>,
    first_reset: Option<Side>,
}

impl Ends {
    /// Takes in a packet of `sender`; the client is who opened, where that is known.
    #[inline]
    pub fn update(&mut self, sender: Side, client: Option<Side>, flags: TcpFlags, has_payload: bool) {
        let now = self.now[sender];
        // By far most packets: an open connection goes on.
        if !flags.is_control() && now != End::Inactive {
            return;
        }
        match now {
            End::Inactive => self.begin(sender, client, flags, has_payload),
            End::SynSent => self.end(sender, flags),
            End::Partial | End::Established => self.go_on(sender, flags),
            End::Closed if flags.has(TcpFlags::RST) && self.now[sender.opposite()] != End::Closed => self.set(sender, End::Reset),
            End::Closed | End::Reset => {}
        }
        if flags.has(TcpFlags::RST) && self.now[sender] == End::Reset {
            self.first_reset.get_or_insert(sender);
        }
    }

    fn begin(&mut self, sender: Side, client: Option<Side>, flags: TcpFlags, has_payload: bool) {
        let peer = sender.opposite();
        let is_client = client == Some(sender);
        if flags.has(TcpFlags::SYN) {
            // The client's SYN behind the SYN/ACK that answered it is late.
            let opens = is_client && self.now[peer] != End::Established;
            if !opens && self.now[peer] == End::SynSent {
                self.set(peer, End::Established);
            }
            self.set(sender, if opens { End::SynSent } else { End::Established });
        }
        self.end(sender, flags);
        if self.now[sender] != End::Inactive {
            return;
        }
        // Some stacks acknowledge a SYN before they answer it.
        let acks_syn = !is_client && !has_payload && self.now[peer] == End::SynSent;
        if !acks_syn {
            let syn_was_missed = flags.has(TcpFlags::ACK) && self.now[peer] == End::Established;
            self.set(sender, if syn_was_missed { End::Established } else { End::Partial });
        }
    }

    fn go_on(&mut self, sender: Side, flags: TcpFlags) {
        let peer = sender.opposite();
        if flags.is_opening() && self.now[sender] == End::Partial && self.now[peer] == End::Inactive {
            self.set(sender, End::SynSent);
        }
        if flags.has(TcpFlags::FIN) && !flags.has(TcpFlags::RST) {
            self.set(sender, End::Closed);
            if self.now[peer] == End::Reset && self.before[peer] == End::Closed {
                self.set(peer, End::Closed); // a FIN and then a RST: it had closed in good order
            }
        }
        if flags.has(TcpFlags::RST) {
            self.set(sender, End::Reset);
        }
    }

    fn end(&mut self, sender: Side, flags: TcpFlags) {
        if flags.has(TcpFlags::FIN) {
            self.set(sender, End::Closed);
        }
        if flags.has(TcpFlags::RST) {
            self.set(sender, End::Reset);
        }
    }

    fn set(&mut self, side: Side, end: End) {
        if self.now[side] != end {
            (self.before[side], self.now[side]) = (self.now[side], end);
        }
    }

    /// Zeek's conn_state. `silent`: neither side sent payload.
    pub fn state(&self, client: Side, history: &History, silent: bool) -> TcpState {
        let (own, peer) = (self.now[client], self.now[client.opposite()]);
        let is_idle = |end| matches!(end, End::Inactive | End::Partial);
        let client_reset_first = own == End::Reset && self.first_reset == Some(client) && !is_idle(peer);
        match (own, peer) {
            (End::SynSent, End::Reset) => TcpState::Rej,
            (End::Reset, End::Reset) if silent => TcpState::Rej,
            (_, End::Reset) if client_reset_first => TcpState::Rsto,
            (own, End::Reset) if is_idle(own) => TcpState::Rstrh,
            (_, End::Reset) => TcpState::Rstr,
            (End::Reset, peer) if !is_idle(peer) => TcpState::Rsto,
            (End::Reset, _) if gave_up_opening(client, history) => TcpState::Rstos0,
            (End::Reset, _) => TcpState::Oth,
            (End::Closed, End::Closed) => TcpState::Sf,
            (End::Closed, peer) => {
                if is_idle(peer) {
                    TcpState::Sh
                } else {
                    TcpState::S2
                }
            }
            (own, End::Closed) => {
                if is_idle(own) {
                    TcpState::Shr
                } else {
                    TcpState::S3
                }
            }
            (End::SynSent, End::Inactive) => TcpState::S0,
            (End::Established, End::Established) => TcpState::S1,
            _ => TcpState::Oth,
        }
    }
}

/// A SYN first, and then a reset of the client without an acknowledgement, a FIN or anything odd of its own between.
fn gave_up_opening(client: Side, history: &History) -> bool {
    let mut own = history.letters().filter(|(side, _)| *side == client).map(|(_, letter)| letter);
    history.letters().next() == Some((client, b's')) && own.find(|letter| b"hafgiqr".contains(letter)) == Some(b'r')
}
