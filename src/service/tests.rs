//! The catalog by its behaviour: which names and addresses lead to which service, and which errors a file of one's own can have.

use super::*;
use std::net::Ipv4Addr;

const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn catalog() -> Catalog {
    Catalog::built_in().expect("the built-in catalog is valid")
}

fn service_of(host: &str) -> Option<String> {
    catalog().name(Some(host), NOWHERE).membership.map(|member| member.service.to_string())
}

#[test]
fn the_longest_suffix_at_a_label_border_wins() {
    let web = catalog().name(Some("Web.WhatsApp.com."), NOWHERE);
    assert_eq!(web.host.as_deref(), Some("web.whatsapp.com"));
    assert_eq!(web.membership.map(|member| (member.service.to_string(), member.role)), Some(("whatsapp".into(), Role::Chat)));
    assert_eq!(service_of("media-fra3-1.cdn.whatsapp.net").as_deref(), Some("whatsapp"));
    assert_eq!(service_of("notwhatsapp.com"), None);
    assert_eq!(service_of("t.me").as_deref(), Some("telegram"));
    assert_eq!(service_of("evil-t.me"), None);
}

#[test]
fn an_address_names_a_service_only_where_the_block_is_its_own() {
    let telegram = catalog().name(None, IpAddr::V4(Ipv4Addr::new(149, 154, 167, 51)));
    assert_eq!(telegram.membership.map(|member| member.service.to_string()).as_deref(), Some("telegram"));
    assert_eq!(telegram.host_source, Some(HostSource::IpPrefix));
    let meta = catalog().name(None, IpAddr::V4(Ipv4Addr::new(157, 240, 1, 1)));
    assert_eq!(meta, Named::default(), "Meta's blocks are shared by its services");
}

#[test]
fn a_name_beats_an_address() {
    let other = catalog().name(Some("www.example.org"), IpAddr::V4(Ipv4Addr::new(149, 154, 167, 51)));
    assert_eq!((other.host.as_deref(), other.membership), (Some("www.example.org"), None));
}

#[test]
fn own_entries_come_before_the_built_in_ones() {
    let own = r#"
        date = "2026-01-01"
        [sources]
        lab = "our own lab"
        [[service]]
        id = "relay"
        name = "Relay"
        operator = "us"
        kind = "messenger"
        [[service.hosts]]
        role = "api"
        match = ["web.whatsapp.com"]
        source = ["lab"]
        confidence = "high"
    "#;
    let catalog = Catalog::with_own(own).expect("valid");
    let membership = catalog.name(Some("web.whatsapp.com"), NOWHERE).membership.expect("named");
    assert_eq!((&*membership.service, membership.role), ("relay", Role::Api));
    assert!(catalog.name(Some("static.whatsapp.net"), NOWHERE).membership.is_some(), "the rest stays");
}

#[test]
fn errors_name_the_line_or_the_entry() {
    let error = Catalog::with_own("date = \"x\"\n[sources]\n[[service]]\nid = 7\n").expect_err("not a text").to_string();
    assert!(error.contains("line 4"), "{error}");
    let unknown = "date = \"x\"\n[sources]\n[[service]]\nid = \"a\"\nname = \"A\"\noperator = \"o\"\nkind = \"messenger\"\n[[service.hosts]]\nrole = \"chat\"\nmatch = [\"a.example\"]\nsource = [\"nowhere\"]\nconfidence = \"low\"\n";
    assert_eq!(
        Catalog::with_own(unknown).expect_err("no such source").to_string(),
        "catalog: service a: source nowhere is not listed under [sources]"
    );
}
