//! A catalog of the user's own: what is accepted does what it says, and never takes the built-in catalog down.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::service::Catalog;

fuzz_target!(|own: &str| {
    let catalog = match Catalog::with_own(own) {
        Ok(catalog) => catalog.label_circumvention(true),
        Err(error) => {
            assert!((1..=own.lines().count() + 1).contains(&error.place.line), "{error}");
            return;
        }
    };
    for service in &catalog.services {
        for hosts in service.hosts.iter().filter(|hosts| hosts.own) {
            for pattern in &hosts.r#match {
                let host = pattern.get_ref().to_string();
                let named = catalog.by_host(host.trim_start_matches('.')).map(|member| member.service.to_string());
                // A name alone beats a suffix, so another entry may own the suffix's own name.
                assert!(hosts.shared || host.starts_with('.') || named.as_deref() == Some(service.id.get_ref().as_str()), "{host}: {named:?}");
            }
        }
    }
});
