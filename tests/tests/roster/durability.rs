//! What was acknowledged is there, whatever happens to the process.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use roster_tests::deadline::GENEROUS;
use roster_tests::process::Signal;
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

const ROUNDS: usize = 20;
const CALLERS: usize = 4;

on_both_databases! {
    every_acknowledged_customer_outlives_a_kill,
}

fn every_acknowledged_customer_outlives_a_kill(database: Database) {
    let mut app = App::start(database);
    // Reference to identifier.
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        // Another moment each time: in the first round nearly at once, later with more behind it.
        acknowledged.extend(killed_under_load(&mut app, round, 1 + 5 * round));
        app.restart();
        assert_each_is_there_once(&app, &acknowledged);
    }
}

/// Creates customers from several threads, kills the service behind the acknowledgement number `enough`, and returns
/// all that were acknowledged.
fn killed_under_load(app: &mut App, round: usize, enough: usize) -> Vec<(String, String)> {
    let (acknowledge, acknowledgements) = mpsc::channel();
    let mut received = Vec::new();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (lumen, acknowledge) = (app.lumen(), acknowledge.clone());
            scope.spawn(move || {
                for number in 0.. {
                    let reference = format!("{round}-{caller}-{number}");
                    let body = json!({"email": format!("c{reference}@example.com"), "userId": reference});
                    // The kill ends this loop.
                    let Ok(answer) = lumen.request("POST", "/customers").json(body).try_send() else { return };
                    let id = answer.expect(201).text_at("/customer/id");
                    acknowledge.send((reference, id)).expect("somebody listens");
                }
            });
        }
        drop(acknowledge);
        for _ in 0..enough {
            received.push(acknowledgements.recv_timeout(GENEROUS).expect("an acknowledgement"));
        }
        app.signal(Signal::Kill);
    });
    app.wait(GENEROUS);
    received.extend(acknowledgements);
    received
}

fn assert_each_is_there_once(app: &App, acknowledged: &BTreeMap<String, String>) {
    let listed = app.lumen().get("/customers").expect(200).json();
    let mut stored = BTreeMap::new();
    for customer in listed["customers"].as_array().expect("a list") {
        let text = |field: &str| customer[field].as_str().expect("a text").to_owned();
        let twice = stored.insert(text("userId"), text("id"));
        assert_eq!(twice, None, "{} stands twice", text("userId"));
        assert_eq!(text("email"), format!("c{}@example.com", text("userId")));
    }
    for (reference, id) in acknowledged {
        assert_eq!(stored.get(reference), Some(id), "{reference} was acknowledged");
    }
}
