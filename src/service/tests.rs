//! The catalog by its behaviour: which facts lead to which service, and which errors a file of one's own can have.

use proptest::prelude::*;

use super::*;
use crate::app::heads::{Heads, Payload, Recognised, Strength};
use crate::app::stun_marks::StunMarks;
use crate::model::Side;
use crate::model::words::{AppProtocol, HostSource, Role, Transport};

fn catalog() -> Catalog {
    Catalog::built_in().expect("the built-in catalog is valid")
}

/// A flow over TCP to port 443 of an address that nobody claims; scenes say what differs.
fn clues<'a>() -> Clues<'a> {
    Clues {
        name: None,
        server: "192.0.2.1".parse().expect("an address"),
        server_port: 443,
        client: Side::Low,
        transport: Transport::Tcp,
        alpn: &[],
        recognised: &[],
        heads: None,
        stun: None,
    }
}

fn to<'a>(address: &str, transport: Transport, server_port: u16) -> Clues<'a> {
    Clues { server: address.parse().expect("an address"), transport, server_port, ..clues() }
}

fn named(host: &str) -> Clues<'_> {
    Clues { name: Some((host, HostSource::TlsSni)), ..clues() }
}

/// Service and role.
fn member(named: &Named) -> Option<(&str, Option<Role>)> {
    named.membership.as_ref().map(|member| (&*member.service, member.role))
}

fn service_of(host: &str) -> Option<String> {
    catalog().name(&named(host)).membership.map(|member| member.service.to_string())
}

fn recognised(id: &'static str, protocol: AppProtocol, strength: Strength) -> Recognised {
    Recognised { protocol, id, strength }
}

// Names.

#[test]
fn the_longest_suffix_at_a_label_border_wins() {
    let catalog = catalog();
    let web = catalog.name(&named("Web.WhatsApp.com."));
    assert_eq!((web.host.as_deref(), web.host_source), (Some("web.whatsapp.com"), Some(HostSource::TlsSni)));
    assert_eq!(member(&web), Some(("whatsapp", Some(Role::Chat))));
    assert_eq!(service_of("media-fra3-1.cdn.whatsapp.net").as_deref(), Some("whatsapp"));
    assert_eq!(service_of("notwhatsapp.com"), None);
    assert_eq!(service_of("t.me").as_deref(), Some("telegram"));
    assert_eq!(service_of("evil-t.me"), None);
}

#[test]
fn the_messengers_asked_for_first_are_known_by_name() {
    for (host, service, role) in [
        ("g.whatsapp.net", "whatsapp", Role::Chat),
        ("mmg.whatsapp.net", "whatsapp", Role::Media),
        ("venus.web.telegram.org", "telegram", Role::Chat),
        ("chat.signal.org", "signal", Role::Chat),
        ("sfu.voip.signal.org", "signal", Role::Call),
        ("media.cdn.viber.com", "viber", Role::Media),
        ("edge-mqtt.facebook.com", "facebook", Role::Chat),
        ("www.messenger.com", "facebook", Role::Chat),
        ("scontent.cdninstagram.com", "instagram", Role::Media),
        ("api.oneme.ru", "max", Role::Chat),
        ("web.max.ru", "max", Role::Web),
        ("rr1---sn-4g5e6nzz.googlevideo.com", "youtube", Role::Media),
        ("us-east1-aws.api.snapchat.com", "snapchat", Role::Api),
        ("gateway.discord.gg", "discord", Role::Chat),
        ("rotterdam1234.discord.media", "discord", Role::Call),
    ] {
        assert_eq!(member(&catalog().name(&named(host))), Some((service, Some(role))), "{host}");
    }
}

#[test]
fn a_name_that_several_services_use_names_none_of_them() {
    for host in ["scontent-fra3-1.xx.fbcdn.net", "graph.facebook.com", "calls.okcdn.ru", "1-courier.push.apple.com"] {
        assert_eq!(service_of(host), None, "{host}, although a shorter pattern is somebody's own");
    }
}

#[test]
fn a_host_may_carry_a_port_and_an_address_in_its_place_is_no_name() {
    let host = |host| Clues { name: Some((host, HostSource::HttpHost)), ..to("149.154.167.51", Transport::Tcp, 80) };
    let with_port = catalog().name(&host("web.telegram.org:80"));
    assert_eq!((with_port.host.as_deref(), member(&with_port).map(|member| member.0)), (Some("web.telegram.org"), Some("telegram")));
    let address = catalog().name(&host("149.154.167.51:80"));
    assert_eq!((address.host.as_deref(), address.host_source), (None, Some(HostSource::IpPrefix)));
    assert_eq!(member(&address), Some(("telegram", Some(Role::Chat))), "the block is Telegram's own");
    assert_eq!(catalog().name(&host("[2001:db8::1]:8080")).host, None);
}

#[test]
fn a_name_beats_an_address() {
    let other = catalog().name(&Clues { name: Some(("www.example.org", HostSource::TlsSni)), ..to("149.154.167.51", Transport::Tcp, 443) });
    assert_eq!((other.host.as_deref(), member(&other)), (Some("www.example.org"), None));
}

// Addresses.

#[test]
fn an_address_names_a_service_only_where_the_block_is_its_own() {
    let telegram = catalog().name(&to("149.154.167.51", Transport::Tcp, 443));
    assert_eq!(member(&telegram), Some(("telegram", Some(Role::Chat))));
    assert_eq!((telegram.host, telegram.host_source), (None, Some(HostSource::IpPrefix)));
    let inside_meta = catalog().name(&to("157.240.1.60", Transport::Tcp, 443));
    assert_eq!(member(&inside_meta), Some(("whatsapp", Some(Role::Chat))), "a single address inside a shared block");
    assert_eq!(catalog().name(&to("157.240.1.1", Transport::Tcp, 443)), Named::default(), "Meta's blocks are shared by its services");
    assert!(catalog().knows("157.240.1.1".parse().expect("an address")), "but a server it is");
}

#[test]
fn a_port_tells_the_role_inside_an_own_block_and_the_service_inside_a_shared_one() {
    let reflector = catalog().name(&to("91.108.9.35", Transport::Udp, 598));
    assert_eq!(member(&reflector), Some(("telegram", Some(Role::Call))));
    for (transport, role) in [(Transport::Tcp, Role::Chat), (Transport::Udp, Role::Call)] {
        assert_eq!(member(&catalog().name(&to("18.195.4.121", transport, 443))), Some(("viber", Some(role))));
    }
    let chat = catalog().name(&to("157.240.1.1", Transport::Tcp, 5222));
    assert_eq!(member(&chat), Some(("whatsapp", Some(Role::Chat))), "of Meta's services only WhatsApp listens on 5222");
    assert_eq!(member(&catalog().name(&to("157.240.1.1", Transport::Udp, 3478))), None, "two of Meta's services listen on 3478");
    assert_eq!(member(&catalog().name(&to("17.249.1.1", Transport::Tcp, 5223))), None, "Apple's push is that of every app");
}

#[test]
fn a_port_alone_names_nothing() {
    for (transport, port) in [(Transport::Tcp, 5222), (Transport::Udp, 50_000), (Transport::Udp, 598), (Transport::Udp, 7985)] {
        assert_eq!(catalog().name(&to("192.0.2.1", transport, port)), Named::default(), "{port}");
    }
}

// The wire.

#[test]
fn sure_bytes_name_a_service_wherever_its_server_stands() {
    let noise = [recognised("wa_noise_plain", AppProtocol::WaNoise, Strength::Certain)];
    for server in ["192.0.2.1", "157.240.1.1"] {
        let chat = catalog().name(&Clues { recognised: &noise, ..to(server, Transport::Tcp, 443) });
        assert_eq!((member(&chat), chat.host_source), (Some(("whatsapp", Some(Role::Chat))), Some(HostSource::Wire)), "{server}");
        assert_eq!(chat.app_protocol, Some(AppProtocol::WaNoise));
    }
}

#[test]
fn weak_bytes_need_what_their_hint_needs() {
    let call = [recognised("imo_udp", AppProtocol::Imo, Strength::Weak)];
    let at = |server| catalog().name(&Clues { recognised: &call, ..to(server, Transport::Udp, 40_000) });
    assert_eq!((member(&at("192.0.2.1")), at("192.0.2.1").app_protocol), (None, None));
    assert_eq!((member(&at("83.229.89.1")), at("83.229.89.1").app_protocol), (Some(("imo", Some(Role::Call))), Some(AppProtocol::Imo)));
    let unsure = [recognised("psiphon_ssh", AppProtocol::Ssh, Strength::Weak)];
    let named = catalog().label_circumvention(true).name(&Clues { recognised: &unsure, ..to("192.0.2.1", Transport::Tcp, 22) });
    assert_eq!(named, Named::default(), "where the hint names no need, nothing supports them");
}

#[test]
fn bytes_that_a_recogniser_is_sure_of_need_nothing() {
    let on = |port, strength| {
        let initiation = [recognised("wg_initiation", AppProtocol::Wireguard, strength)];
        let flow = Clues { recognised: &initiation, ..to("192.0.2.1", Transport::Udp, port) };
        member(&catalog().label_circumvention(true).name(&flow)).is_some()
    };
    assert!(on(40_000, Strength::Certain), "answered, or tried again");
    assert!(on(51_820, Strength::Weak), "tried once, on the customary port");
    assert!(!on(40_000, Strength::Weak));
}

#[test]
fn marks_of_stun_name_whose_relay_it_is() {
    let stun = |realm: Option<&str>, types: &[u16], attributes: &[u16]| StunMarks {
        realm: realm.map(Into::into),
        types: types.into(),
        attributes: attributes.into(),
    };
    let at = |server, stun: &StunMarks| catalog().name(&Clues { stun: Some(stun), ..to(server, Transport::Udp, 3478) });
    let signal = at("192.0.2.1", &stun(Some("Signal.org"), &[0x113], &[]));
    assert_eq!((member(&signal), signal.app_protocol), (Some(("signal", Some(Role::Call))), Some(AppProtocol::Stun)));
    assert_eq!(member(&at("192.0.2.1", &stun(None, &[0x800], &[]))), Some(("whatsapp", Some(Role::Call))));
    let open = stun(None, &[1], &[0x4000]);
    assert_eq!(member(&at("192.0.2.1", &open)), None, "anyone may use 0x4000");
    assert_eq!(member(&at("157.240.1.1", &open)), Some(("whatsapp", Some(Role::Call))), "but in Meta's block it is WhatsApp's");
    let allocate: Vec<u8> = [&[0, 3, 0, 0x6a, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0x40, 0, 0, 0x66], &[9; 40]].concat();
    let heads = Heads { payloads: vec![Payload { sender: Side::Low, len: 126, bytes: allocate }], ..Heads::default() };
    let relay = catalog().name(&Clues { heads: Some(&heads), stun: Some(&open), ..to("192.0.2.1", Transport::Udp, 3478) });
    assert_eq!(member(&relay), Some(("whatsapp", Some(Role::Call))), "and so it is in front of a request for a relay, wherever the relay stands");
    let plain = at("192.0.2.1", &stun(Some("example.org"), &[1], &[]));
    assert_eq!((member(&plain), plain.app_protocol), (None, Some(AppProtocol::Stun)));
}

#[test]
fn alpn_names_a_service_whose_servers_have_names_of_anybody() {
    let alpn = ["smp/1".to_owned()];
    assert_eq!(member(&catalog().name(&Clues { alpn: &alpn, ..named("smp.example.org") })), Some(("simplex", Some(Role::Chat))));
}

#[test]
fn the_protocol_of_a_flow_is_told_without_a_service() {
    let ssh = [recognised("ssh_banner", AppProtocol::Ssh, Strength::Certain)];
    let named = catalog().name(&Clues { recognised: &ssh, ..to("192.0.2.1", Transport::Tcp, 22) });
    assert_eq!((member(&named), named.app_protocol), (None, Some(AppProtocol::Ssh)));
    let also_random = [ssh[0], recognised("fully_encrypted_tcp", AppProtocol::FullyEncrypted, Strength::Weak)];
    let named = catalog().name(&Clues { recognised: &also_random, ..to("192.0.2.1", Transport::Tcp, 22) });
    assert_eq!(named.app_protocol, Some(AppProtocol::Ssh), "what is sure comes before what it looks like");
}

// Circumvention.

#[test]
fn ways_around_a_block_are_named_on_request_only() {
    let initiation = [recognised("wg_initiation", AppProtocol::Wireguard, Strength::Certain)];
    let tunnel = Clues { recognised: &initiation, ..to("192.0.2.1", Transport::Udp, 51_820) };
    let (silent, labelled) = (catalog(), catalog().label_circumvention(true));
    assert_eq!((member(&silent.name(&tunnel)), silent.name(&tunnel).app_protocol), (None, Some(AppProtocol::OtherEncrypted)));
    assert_eq!(member(&labelled.name(&tunnel)), Some(("wireguard", None)));
    assert_eq!(labelled.name(&tunnel).app_protocol, Some(AppProtocol::Wireguard));
    for clues in [named("www.torproject.org"), to("128.31.0.39", Transport::Tcp, 9101), to("162.159.192.5", Transport::Udp, 2408)] {
        assert_eq!(member(&silent.name(&clues)), None, "{clues:?}");
        assert!(labelled.name(&clues).membership.is_some(), "{clues:?}");
    }
    assert_eq!(silent.by_host("www.torproject.org"), None, "by an answer of DNS neither");
}

#[test]
fn random_bytes_are_told_as_such_and_named_for_no_tool() {
    let random = [recognised("fully_encrypted_tcp", AppProtocol::FullyEncrypted, Strength::Weak)];
    let flow = Clues { recognised: &random, ..clues() };
    assert_eq!(catalog().name(&flow), Named { app_protocol: Some(AppProtocol::OtherEncrypted), ..Named::default() });
    let labelled = catalog().label_circumvention(true).name(&flow);
    assert_eq!((member(&labelled), labelled.app_protocol), (None, Some(AppProtocol::FullyEncrypted)));
}

// Resolvers.

#[test]
fn resolvers_over_encrypted_transports_are_known_by_name() {
    for host in ["dns.google", "mozilla.cloudflare-dns.com", "dns.quad9.net", "abc123.dns.nextdns.io", "common.dot.dns.yandex.net"] {
        assert!(catalog().is_resolver(host), "{host}");
    }
    for host in ["a.res-nsdi.ru", "www.google.com", "xdns.google", ""] {
        assert!(!catalog().is_resolver(host), "{host}");
    }
}

// A catalog of one's own.

/// A file with one service of the lab's, and what is put behind it.
fn own(rest: &str) -> String {
    let service = "[[service]]\nid = \"relay\"\nname = \"Relay\"\noperator = \"us\"\nkind = \"messenger\"\n";
    format!("date = \"2026-01-01\"\n[sources]\nlab = {{ what = \"our own lab\", date = \"2026\" }}\n{service}{rest}")
}

/// An entry of the given kind, founded as it has to be.
fn entry(kind: &str, fields: &str) -> String {
    format!("[[service.{kind}]]\nrole = \"api\"\n{fields}\nsource = [\"lab\"]\nconfidence = \"high\"\n")
}

fn with_own(text: &str) -> Catalog {
    Catalog::with_own(text).expect("valid")
}

#[test]
fn own_entries_come_before_the_built_in_ones() {
    let catalog = with_own(&own(&(entry("hosts", "match = [\"web.whatsapp.com\"]") + &entry("prefixes", "v4 = [\"149.154.160.0/20\"]"))));
    assert_eq!(member(&catalog.name(&named("web.whatsapp.com"))), Some(("relay", Some(Role::Api))));
    assert_eq!(member(&catalog.name(&to("149.154.167.51", Transport::Tcp, 444))), Some(("relay", Some(Role::Api))));
    assert!(catalog.name(&named("static.whatsapp.net")).membership.is_some(), "the rest stays");
}

#[test]
fn a_service_of_the_same_id_is_added_to() {
    let text = own("").replace("id = \"relay\"\nname = \"Relay\"\noperator = \"us\"\nkind = \"messenger\"", "id = \"telegram\"");
    let catalog = with_own(&(text + &entry("hosts", "match = [\".mirror.example\"]")));
    assert_eq!(member(&catalog.name(&named("a.mirror.example"))), Some(("telegram", Some(Role::Api))));
    assert_eq!(member(&catalog.name(&named("web.telegram.org"))).map(|member| member.0), Some("telegram"));
}

#[test]
fn a_service_is_replaced_or_taken_out() {
    let telegram = "date = \"2026\"\n[sources]\nlab = { what = \"our own lab\", date = \"2026\" }\n[[service]]\nid = \"telegram\"\nreplace = true\n";
    let without = with_own(telegram);
    assert_eq!(member(&without.name(&named("web.telegram.org"))), None);
    assert!(without.services.iter().all(|service| service.id.get_ref().as_str() != "telegram"));
    let replaced = with_own(&(telegram.to_owned() + &entry("hosts", "match = [\".mirror.example\"]")));
    assert_eq!(member(&replaced.name(&named("a.mirror.example"))).map(|member| member.0), Some("telegram"));
    assert_eq!(member(&replaced.name(&named("web.telegram.org"))), None);
    assert_eq!(member(&replaced.name(&to("149.154.167.51", Transport::Tcp, 443))), None);
}

#[test]
fn plain_patterns_of_bytes_need_no_code() {
    let hint = "id = \"relay_hello\"\napp_protocol = \"other_encrypted\"\nproto = \"udp\"\ndir = \"c2s\"\nat = \"first_datagram\"\n\
                match = [{ hex = \"52 4c .. 01\" }, { offset = 6, hex = \"ff\" }]\nlen_min = 7\nlen_max = 8";
    let catalog = with_own(&own(&entry("wire", hint)));
    let service = |sender, bytes: &[u8]| {
        let heads = Heads { payloads: vec![Payload { sender, len: bytes.len() as u32, bytes: bytes.to_vec() }], ..Heads::default() };
        let flow = Clues { heads: Some(&heads), ..to("192.0.2.1", Transport::Udp, 9999) };
        member(&catalog.name(&flow)).map(|member| member.0.to_owned())
    };
    assert_eq!(service(Side::Low, b"RL?\x01..\xff").as_deref(), Some("relay"));
    assert_eq!(service(Side::High, b"RL?\x01..\xff"), None, "from the server");
    assert_eq!(service(Side::Low, b"RL?\x02..\xff"), None);
    assert_eq!(service(Side::Low, b"RL?\x01.."), None, "too short");
    assert_eq!(service(Side::Low, b"RL?\x01..\xff.."), None, "too long");
}

#[track_caller]
fn error(text: &str) -> String {
    Catalog::with_own(text).expect_err("wrong").to_string()
}

#[test]
fn errors_name_the_line_and_the_entry() {
    let hosts = |fields: &str| own(&entry("hosts", fields));
    let wire = |fields: &str| own(&entry("wire", &format!("id = \"x\"\napp_protocol = \"tls\"\nproto = \"tcp\"\n{fields}")));
    let good = "match = [\"a.example\"]";
    for (text, said) in [
        (own("asn = \"7\""), "line 9 (service relay): invalid type"),
        (own("colour = 7").replace("\"relay\"", "\"relay\" # ours"), "line 9 (service relay): unknown field `colour`"),
        (own("colour = 7"), "line 9 (service relay): unknown field `colour`"),
        (own("asn = ["), "line 9 (service relay): "),
        (own("").replace("messenger", "chat"), "line 8 (service relay): unknown variant `chat`, expected one of `messenger`"),
        (own("").replace("operator = \"us\"\n", ""), "line 5 (service relay): operator is missing"),
        (own("").replace("\"relay\"", "\"Re lay\""), "line 5 (service Re lay): \"Re lay\" is no id"),
        (own("").replace("2026-01-01", "1.1.26"), "line 1: \"1.1.26\" is no date"),
        (hosts(good).replace("\"api\"", "\"data\""), "line 10 (service relay, hosts): \"data\" is none of chat, media"),
        (hosts(good).replace("role = \"api\"\n", ""), "line 11 (service relay, hosts): role is missing"),
        (hosts(good).replace("[\"lab\"]", "[\"nowhere:page 7\"]"), "line 12 (service relay, hosts): source nowhere is not listed under [sources]"),
        (hosts(good).replace("[\"lab\"]", "[]"), "line 12 (service relay, hosts): a source is missing"),
        (hosts("match = [\n\"a.example\",\n\"B.example\"]"), "line 13 (service relay, hosts): \"B.example\": host names are written in lower case"),
        (hosts("match = [\"*.a.example\"]"), "line 11 (service relay, hosts): \"*.a.example\": write .name"),
        (hosts("match = [\"a.example\"]\nalso = [\"viper\"]"), "line 12 (service relay, hosts): no service has the id viper"),
        (hosts("match = [\"a.example\", \"a.example\"]"), "line 11 (service relay, hosts): a.example stands on line 11 already"),
        (
            own(&entry("prefixes", "v4 = [\"10.0.0.1/8\"]")),
            "line 11 (service relay, prefixes): \"10.0.0.1/8\" has bits behind its length: is 10.0.0.0/8 meant?",
        ),
        (own(&entry("prefixes", "v4 = [\"10.0.0.0/33\"]")), "line 11 (service relay, prefixes): \"10.0.0.0/33\" is no block of addresses"),
        (own(&entry("endpoints", "addresses = [\"10.0.0.1\"]")), "line 11 (service relay, endpoints): \"10.0.0.1\" is no address with a port"),
        (own(&entry("ports", "proto = \"tcp\"\nports = [\"90-80\"]")), "line 12 (service relay, ports): \"90-80\" is no port and no range of ports"),
        (own(&entry("ports", "proto = \"tpc\"\nports = [\"90\"]")), "line 11 (service relay, ports): \"tpc\" is none of tcp, udp"),
        (wire("match = [{ hex = \"0x16\" }]"), "line 14 (service relay, wire): \"0x16\" are no bytes"),
        (wire("match = [{ offset = 79, hex = \"16 03\" }]"), "line 11 (service relay, wire): only the first 80 bytes of a payload are compared"),
        (wire("check = \"mtprot\""), "line 14 (service relay, wire): no recogniser is called mtprot"),
        (wire(""), "line 11 (service relay, wire): no condition"),
        (wire("len = 7\nneeds = [\"port\"]"), "line 11 (service relay, wire): the hint needs a port, and the service has none"),
        (own("replace = true"), "line 5 (service relay): `replace` is for services of the built-in catalog"),
        (
            own("") + &own("").split_once("[[").map(|(_, rest)| format!("[[{rest}")).expect("a service"),
            "line 10 (service relay): service relay stands on line 5 already",
        ),
    ] {
        let error = error(&text);
        assert!(error.starts_with(said), "said:     {error}\nexpected: {said}\n{text}");
    }
}

#[test]
fn two_services_may_not_both_own_a_name_or_a_block() {
    let second = "[[service]]\nid = \"other\"\nname = \"Other\"\noperator = \"them\"\nkind = \"social\"\n";
    for (kind, fields) in
        [("hosts", "match = [\".a.example\"]"), ("prefixes", "v6 = [\"2001:db8::/32\"]"), ("endpoints", "addresses = [\"10.0.0.1:80\"]")]
    {
        let text = own(&(entry(kind, fields) + second + &entry(kind, fields)));
        let error = error(&text);
        assert!(error.starts_with(&format!("line 21 (service other, {kind}): ")) && error.contains("stands on line 11 already"), "{error}");
    }
}

#[test]
fn every_entry_of_the_built_in_catalog_is_founded_and_every_role_is_said() {
    let catalog = catalog();
    assert_eq!(catalog.services.len(), 38);
    for service in &catalog.services {
        assert!(service.entries().next().is_some(), "{}", service.id.get_ref());
        for source in service.entries().flat_map(|basis| basis.source.get_ref()) {
            assert!(catalog.sources.contains_key(source_id(source)));
        }
    }
    let used: std::collections::HashSet<&str> = catalog
        .services
        .iter()
        .flat_map(|service| service.entries())
        .map(|basis| basis.source)
        .chain(catalog.resolvers.iter().map(|resolver| &resolver.source))
        .chain(catalog.removed.iter().map(|removed| &removed.source))
        .flat_map(|source| source.get_ref())
        .map(|source| source_id(source))
        .collect();
    let unused: Vec<_> = catalog.sources.keys().filter(|id| !used.contains(id.as_str())).collect();
    assert!(unused.is_empty(), "sources that nothing comes from: {unused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_a_catalog_or_an_error(text in any::<String>()) {
        let _no_panic = check::read(&text, None);
    }

    #[test]
    fn a_damaged_catalog_is_a_catalog_or_an_error(at in 0usize..700, letter in any::<char>()) {
        let mut text: Vec<char> = own(&(entry("hosts", "match = [\".a.example\"]") + &entry("ports", "proto = \"tcp\"\nports = [\"9-10\"]"))).chars().collect();
        let place = at % text.len();
        text[place] = letter;
        let _no_panic = check::read(&text.into_iter().collect::<String>(), None);
    }

    #[test]
    fn any_name_is_a_host_or_none(name in any::<String>()) {
        let _no_panic = catalog().name(&named(&name));
    }
}
