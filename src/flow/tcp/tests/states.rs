//! Zeek's conn_state: a scene for each word.

use super::*;

fn state(trace: &Trace) -> TcpState {
    tcp_of(trace).state(client())
}

fn open() -> Trace {
    Trace::at_client().handshake()
}

fn asked() -> Trace {
    open().client_data(100).server_data(900)
}

#[test]
fn a_connection_that_was_not_answered() {
    assert_eq!(state(&Trace::at_client().syn()), TcpState::S0);
    assert_eq!(state(&Trace::at_client().syn().wait(1_000).repeat(1)), TcpState::S0);
    assert_eq!(state(&Trace::at_client().syn().refused()), TcpState::Rej);
    assert_eq!(state(&Trace::at_client().syn().rst_from_client()), TcpState::Rstos0);
    assert_eq!(state(&Trace::at_client().syn().fin_from_client()), TcpState::Sh);
}

#[test]
fn a_connection_that_was_opened() {
    assert_eq!(state(&Trace::at_client().syn().syn_ack()), TcpState::S1);
    assert_eq!(state(&open()), TcpState::S1);
    assert_eq!(state(&asked()), TcpState::S1);
    assert_eq!(state(&Trace::at_client().syn().syn_ack().bare()), TcpState::S1, "both opened at once");
}

#[test]
fn a_connection_that_was_closed_in_good_order() {
    assert_eq!(state(&asked().fin_from_client().fin_from_server().ack_from_client()), TcpState::Sf);
    assert_eq!(state(&asked().fin_from_client().ack_from_server()), TcpState::S2);
    assert_eq!(state(&asked().fin_from_server().ack_from_client()), TcpState::S3);
    assert_eq!(state(&asked().fin_from_client().fin_from_server().rst_from_client()), TcpState::Sf, "a reset behind both FINs changes nothing");
    assert_eq!(state(&asked().fin_from_client().rst_from_client().fin_from_server()), TcpState::Sf, "nor one between them");
}

#[test]
fn a_connection_that_was_reset() {
    assert_eq!(state(&asked().rst_from_client()), TcpState::Rsto);
    assert_eq!(state(&asked().rst_from_server()), TcpState::Rstr);
    assert_eq!(state(&asked().fin_from_client().rst_from_client()), TcpState::Rsto, "a reset behind the own FIN alone");
    assert_eq!(state(&asked().fin_from_client().rst_from_server()), TcpState::Rstr);
}

#[test]
fn of_two_resets_the_first_names_the_state() {
    let asked = || open().client_data(100);
    assert_eq!(state(&asked().rst_from_server().rst_from_client()), TcpState::Rstr);
    assert_eq!(state(&asked().rst_from_client().rst_from_server()), TcpState::Rsto);
    assert_eq!(state(&open().rst_from_client().rst_from_server()), TcpState::Rej, "no payload ever went");
}

#[test]
fn a_connection_whose_syn_was_not_captured() {
    assert_eq!(state(&Trace::at_client().syn_ack().rst_from_server()), TcpState::Rstrh);
    assert_eq!(state(&Trace::at_client().syn_ack().fin_from_server()), TcpState::Shr);
    assert_eq!(state(&Trace::at_client().syn_ack().ack_from_client()), TcpState::S1, "the ACK tells that the SYN was sent");
    assert_eq!(state(&Trace::at_client().syn().syn_ack().overtakes().ack_from_client()), TcpState::S1, "a late SYN");
}

#[test]
fn a_connection_picked_up_in_the_middle() {
    let middle = || Trace::at_client().client_data(100).server_data(900);
    assert_eq!(state(&middle()), TcpState::Oth);
    assert_eq!(state(&middle().rst_from_client()), TcpState::Oth);
    assert_eq!(state(&middle().fin_from_client().fin_from_server()), TcpState::Sf);
    assert_eq!(state(&middle().fin_from_client()), TcpState::Sh);
    assert_eq!(state(&middle().fin_from_server()), TcpState::Shr);
    assert_eq!(state(&middle().rst_from_server()), TcpState::Rstrh);
}

#[test]
fn a_client_that_acknowledged_what_was_never_captured_had_more_than_an_attempt() {
    let trace = Trace::at_client().syn().syn_ack().missed().ack_from_client().rst_from_client();
    assert_eq!(state(&trace), TcpState::Oth);
}
