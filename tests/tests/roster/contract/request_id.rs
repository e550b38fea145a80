//! `X-Request-Id`: the id of the caller if it is a printable token of at most 128 characters, or else a new one.

use std::collections::BTreeSet;

use roster_tests::client::Surface;
use roster_tests::{App, Database, on_both_databases, raw};

on_both_databases! {
    a_printable_id_of_at_most_128_characters_is_returned,
    any_other_id_is_replaced,
}

fn a_printable_id_of_at_most_128_characters_is_returned(database: Database) {
    let app = App::start(database);
    let longest = "x".repeat(128);
    for surface in Surface::ALL {
        for path in ["/customers", "/nothing", "/customers/x"] {
            for id in ["a", "req-1.2_3~4", "01890f6e-8f3b-7cc3-98c4-dc0c0c07398f", longest.as_str()] {
                let response = app.surface(surface).request("GET", path).header("x-request-id", id).send();
                assert_eq!(response.header("x-request-id"), Some(id));
            }
        }
    }
    let unauthorized = app.native().without_key();
    let response = unauthorized.request("GET", "/customers").header("x-request-id", "mine").send();
    assert_eq!(response.header("x-request-id"), Some("mine"));
}

fn any_other_id_is_replaced(database: Database) {
    let app = App::start(database);
    let too_long = "x".repeat(129);
    let mut seen = BTreeSet::new();
    for id in ["", " ", "two words", "tab\there", "\u{e9}", "\u{7f}", too_long.as_str()] {
        let request = raw::request("GET", "/v1/customers", &[("x-request-id", id)], b"");
        let response = raw::exchange(app.address(), &request).expect("a response");
        if response.header("x-request-id").is_none() {
            // A control character is invalid HTTP: there is no request whose id could be returned.
            assert_eq!((response.status, id), (400, "\u{7f}"), "{response:?}");
            continue;
        }
        let given = response.header("x-request-id").expect("an id").to_owned();
        assert_ne!(given, id);
        assert!((1..=128).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic()), "{given:?}");
        assert!(seen.insert(given.clone()), "{given} is not unique");
    }
}
