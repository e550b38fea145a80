//! `X-Request-Id`: the caller's own if it is a printable token of at most 128 characters, ours otherwise.

use std::collections::BTreeSet;

use roster_tests::client::Surface;
use roster_tests::{App, Database, on_both_databases, raw};

on_both_databases! {
    a_printable_token_of_at_most_128_characters_comes_back,
    anything_else_is_replaced_by_one_of_ours,
}

fn a_printable_token_of_at_most_128_characters_comes_back(database: Database) {
    let app = App::start(database);
    let longest = "x".repeat(128);
    for surface in Surface::ALL {
        for path in ["/customers", "/nothing", "/customers/x"] {
            for id in ["a", "req-1.2_3~4", "01890f6e-8f3b-7cc3-98c4-dc0c0c07398f", longest.as_str()] {
                let answer = app.surface(surface).request("GET", path).header("x-request-id", id).send();
                assert_eq!(answer.header("x-request-id"), Some(id));
            }
        }
    }
    let unauthorized = app.native().without_key();
    let answer = unauthorized.request("GET", "/customers").header("x-request-id", "mine").send();
    assert_eq!(answer.header("x-request-id"), Some("mine"));
}

fn anything_else_is_replaced_by_one_of_ours(database: Database) {
    let app = App::start(database);
    let too_long = "x".repeat(129);
    let mut seen = BTreeSet::new();
    for id in ["", " ", "two words", "tab\there", "\u{e9}", "\u{7f}", too_long.as_str()] {
        let request = raw::request("GET", "/v1/customers", &[("x-request-id", id)], b"");
        let answer = raw::exchange(app.address(), &request).expect("an answer");
        if answer.header("x-request-id").is_none() {
            // A control character breaks HTTP itself, and whoever refuses that has not read a request.
            assert_eq!((answer.status, id), (400, "\u{7f}"), "{answer:?}");
            continue;
        }
        let given = answer.header("x-request-id").expect("an id").to_owned();
        assert_ne!(given, id);
        assert!((1..=128).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic()), "{given:?}");
        assert!(seen.insert(given.clone()), "{given} stands twice");
    }
}
