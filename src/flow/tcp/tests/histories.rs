//! Zeek's history: a scene for each letter.

use super::*;

const SYN: u8 = TcpFlags::SYN.0;
const FIN: u8 = TcpFlags::FIN.0;
const RST: u8 = TcpFlags::RST.0;

fn history(trace: &Trace) -> String {
    tcp_of(trace).history(client())
}

fn asked() -> Trace {
    Trace::at_client().handshake().client_data(100).ack_from_server().server_data(900)
}

#[test]
fn letters_stand_in_the_order_of_the_events() {
    assert_eq!(history(&asked()), "ShADad");
    assert_eq!(history(&asked().fin_from_client().fin_from_server().ack_from_client()), "ShADadFf");
    assert_eq!(history(&asked().rst_from_server()), "ShADadr");
    assert_eq!(history(&Trace::at_client().syn().wait(1_000).repeat(1).refused()), "Sr");
}

#[test]
fn only_a_segment_without_flags_shows_payload() {
    assert_eq!(history(&Trace::at_client().syn_with(b"early").syn_ack()), "Sh");
    assert_eq!(history(&asked().client_bytes(b"bye").flags(TcpFlags::ACK.0 | FIN)), "ShADadF");
}

#[test]
fn payload_that_is_sent_again_is_noted_once() {
    assert_eq!(history(&asked().wait(500).repeat(4).wait(500).repeat(4)), "ShADadT");
    assert_eq!(history(&asked().wait(500).repeat(6)), "ShADadt");
    assert_eq!(history(&asked().ack_from_client().wait(45_000).ack_from_client().seq(-1)), "ShADad", "a keep-alive");
    let overtaken = Trace::at_client().handshake().client_data(100).client_data(100).overtakes();
    assert_eq!(history(&overtaken), "ShAD", "what was overtaken was sent once");
}

#[test]
fn a_closed_window_is_noted_while_the_peer_may_still_send() {
    assert_eq!(history(&asked().ack_from_client().window(0)), "ShADadW");
    assert_eq!(history(&asked().fin_from_client().ack_from_client().window(0)), "ShADadFW");
    assert_eq!(history(&asked().fin_from_server().ack_from_client().window(0)), "ShADadf");
    assert_eq!(history(&asked().rst_from_client().window(0)), "ShADadR");
}

#[test]
fn resets_and_farewells_under_other_numbers_are_noted_again() {
    assert_eq!(history(&asked().rst_from_server().repeat(7).rst_from_server().seq(1_460)), "ShADadrr");
    assert_eq!(history(&asked().fin_from_client().repeat(7)), "ShADadF");
    assert_eq!(history(&asked().fin_from_client().client_data(50).fin_from_client()), "ShADadFF");
}

#[test]
fn a_gap_is_what_was_acknowledged_and_never_captured() {
    let gap = asked().client_data(100).missed().ack_from_server();
    assert_eq!(history(&gap), "ShADadG");
    let late = asked().client_data(100).ack_from_server().overtakes();
    assert_eq!(history(&late), "ShADad", "the capture shows the acknowledgement first");
    let closing = asked().client_data(100).missed().fin_from_server();
    assert_eq!(history(&closing), "ShADadf", "what a farewell acknowledges is no proof of a gap");
}

#[test]
fn flags_that_do_not_go_together_have_letters_of_their_own() {
    assert_eq!(history(&asked().fin_from_client().flags(FIN | RST)), "ShADadI");
    assert_eq!(history(&Trace::at_client().syn().flags(SYN | FIN)), "Q");
    assert_eq!(history(&Trace::at_client().syn().flags(SYN | RST)), "Q");
}

#[test]
fn a_flow_that_begins_with_the_server_is_marked() {
    assert_eq!(history(&Trace::at_client().syn_ack().ack_from_client()), "^hA");
    assert_eq!(history(&Trace::at_client().syn().syn_ack().overtakes()), "^hS");
}

#[test]
fn a_syn_ack_of_another_number_is_noted_again() {
    assert_eq!(history(&Trace::at_client().syn().syn_ack().syn_ack()), "Shh");
    assert_eq!(history(&Trace::at_client().syn().syn_ack().repeat(2)), "Sh");
}
