//! An acknowledged customer is stored, even if the process is killed.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use roster_tests::deadline::TIMEOUT;
use roster_tests::process::Signal;
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

const ROUNDS: usize = 20;
const CALLERS: usize = 4;

on_both_databases! {
    every_acknowledged_customer_survives_a_kill,
}

fn every_acknowledged_customer_survives_a_kill(database: Database) {
    let mut app = App::start(database);
    // From `userId` to `id`.
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        // Each round kills later: the first after one acknowledgement.
        acknowledged.extend(killed_under_load(&mut app, round, 1 + 5 * round));
        app.restart();
        assert_each_is_there_once(&app, &acknowledged);
    }
}

/// Creates customers from several threads, kills the service after `enough` acknowledgements, and returns all
/// acknowledged customers.
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
                    let Ok(response) = lumen.request("POST", "/customers").json(body).try_send() else { return };
                    let id = response.expect(201).text_at("/customer/id");
                    acknowledge.send((reference, id)).expect("the channel is open");
                }
            });
        }
        drop(acknowledge);
        for _ in 0..enough {
            received.push(acknowledgements.recv_timeout(TIMEOUT).expect("an acknowledgement"));
        }
        app.signal(Signal::Kill);
    });
    app.wait(TIMEOUT);
    received.extend(acknowledgements);
    received
}

fn assert_each_is_there_once(app: &App, acknowledged: &BTreeMap<String, String>) {
    let listed = app.lumen().get("/customers").expect(200).json();
    let mut stored = BTreeMap::new();
    for customer in listed["customers"].as_array().expect("a list") {
        let text = |field: &str| customer[field].as_str().expect("a text").to_owned();
        let twice = stored.insert(text("userId"), text("id"));
        assert_eq!(twice, None, "{} is listed twice", text("userId"));
        assert_eq!(text("email"), format!("c{}@example.com", text("userId")));
    }
    for (reference, id) in acknowledged {
        assert_eq!(stored.get(reference), Some(id), "{reference} was acknowledged");
    }
}
