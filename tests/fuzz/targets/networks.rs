//! A table of networks: every address that a line begins with has a network, unless the line says that it has none.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use tamperscope::service::Networks;

fuzz_target!(|table: &str| {
    let networks = match Networks::read(table) {
        Ok(networks) => networks,
        Err(error) => {
            assert!((1..=table.lines().count()).contains(&error.line), "{error}");
            return;
        }
    };
    for line in table.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (address, rest) = line.split_once('/').unwrap_or((line, ""));
        let asn = rest.split([',', '\t', ' ']).nth(1).unwrap_or_default();
        if let (Ok(address), Ok(1..)) = (address.parse::<IpAddr>(), asn.parse::<u32>()) {
            assert!(networks.of(address).is_some(), "{line}");
        }
    }
});
