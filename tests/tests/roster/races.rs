//! Races of sixteen callers, a hundred times, on two instances of the service with one database.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use roster_tests::client::{Request, Surface};
use roster_tests::lock::Lock;
use roster_tests::rows::rows_in;
use roster_tests::{App, Caller, Database, Pair, Response, on_both_databases};
use serde_json::json;

const CALLERS: usize = 16;
const ROUNDS: usize = 100;

on_both_databases! {
    one_reference_is_created_once_and_every_caller_gets_it,
    one_address_in_several_spellings_is_created_once,
    sharing_an_address_lets_at_most_one_caller_own_it,
    one_customer_can_change_to_an_address,
    changes_of_different_fields_of_one_customer_all_happen,
    one_version_is_edited_by_one_caller,
    one_external_id_is_upserted_by_every_caller_and_created_by_one,
    one_customer_is_created_once_and_returned_to_every_caller,
    atomic_batches_in_opposite_orders_are_each_done_as_a_whole,
    of_atomic_batches_that_claim_one_identifier_one_is_done,
    a_write_waits_while_another_takes_less_than_half_of_the_deadline,
}

fn a_write_waits_while_another_takes_less_than_half_of_the_deadline(database: Database) {
    // The deadline is 30 s.
    let app = App::start(database);
    let lock = Lock::take(app.database());
    thread::scope(|scope| {
        let write = scope.spawn(|| app.native().post("/customers", json!({"email": "ada@example.com"})));
        thread::sleep(Duration::from_secs(3));
        assert!(!write.is_finished());
        drop(lock);
        write.join().expect("an answer").is(201);
    });
}

fn one_reference_is_created_once_and_every_caller_gets_it(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Lava),
        |caller, round, place| {
            let body = json!({"reference_id": format!("ref-{round}"), "name": format!("Caller {place}")});
            caller.request("POST", "/customers").json(body)
        },
        |responses| {
            assert_eq!(statuses(responses), [vec![200; CALLERS - 1], vec![201]].concat());
            let bodies: BTreeSet<_> = responses.iter().map(Response::text).collect();
            assert_eq!(bodies.len(), 1, "{bodies:?}");
        },
    );
}

fn one_address_in_several_spellings_is_created_once(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Lumen),
        |caller, round, place| {
            let email = respell(&format!("caller.{round}@example.com"), place);
            caller.request("POST", "/customers").json(json!({"email": email}))
        },
        |responses| {
            assert_eq!(statuses(responses), [vec![201], vec![409; CALLERS - 1]].concat());
        },
    );
}

fn sharing_an_address_lets_at_most_one_caller_own_it(database: Database) {
    let pair = Pair::start(database);
    // Half of the callers want the address for one customer, half allow that it is shared. Of the first half, at most
    // one may succeed.
    race(
        &pair.callers(Surface::Lumen),
        |caller, round, place| {
            caller.request("POST", "/customers").json(json!({
                "email": format!("caller.{round}@example.com"),
                "dangerouslyAllowSameEmailForDifferentCustomers": place % 2 == 0,
            }))
        },
        |responses| {
            let created = |parity: usize| {
                responses
                    .iter()
                    .enumerate()
                    .filter(|(place, response)| place % 2 == parity && response.status == 201)
                    .count()
            };
            assert_eq!(created(0), CALLERS / 2, "{responses:?}");
            assert!(created(1) <= 1, "{responses:?}");
            assert!(responses.iter().all(|response| [201, 409].contains(&response.status)), "{responses:?}");
        },
    );
}

fn one_customer_can_change_to_an_address(database: Database) {
    let pair = Pair::start(database);
    let create = |place| pair.app.native().post("/customers", json!({"email": format!("caller.{place}@example.com")}));
    let ids: Vec<_> = (0..CALLERS).map(|place| create(place).expect(201).text_at("/id")).collect();
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let change = json!({"email": format!("wanted.{round}@example.com")});
            caller.request("PATCH", &format!("/customers/{}", ids[place])).json(change)
        },
        |responses| assert_eq!(statuses(responses), [vec![200], vec![409; CALLERS - 1]].concat()),
    );
}

fn changes_of_different_fields_of_one_customer_all_happen(database: Database) {
    let pair = Pair::start(database);
    let id = pair.app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201).text_at("/id");
    let path = format!("/customers/{id}");
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let key = format!("key {place}");
            let request = caller.request("PATCH", &path).header("content-type", "application/merge-patch+json");
            request.json(json!({"metadata": {key: round}}))
        },
        |responses| assert_eq!(statuses(responses), [200; CALLERS]),
    );
    let metadata = pair.app.native().get(&path).expect(200).json()["metadata"].clone();
    let all: serde_json::Map<_, _> = (0..CALLERS).map(|place| (format!("key {place}"), json!(ROUNDS - 1))).collect();
    assert_eq!(metadata, serde_json::Value::Object(all));
}

fn one_version_is_edited_by_one_caller(database: Database) {
    let pair = Pair::start(database);
    let id = pair.app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201).text_at("/id");
    let path = format!("/customers/{id}");
    // The tag of version n: each round, all callers edit the version that the round before has made.
    let tag = |version: usize| format!("\"{}-{version}\"", id.trim_start_matches("cus_"));
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let request = caller.request("PATCH", &path).header("if-match", &tag(round + 1));
            request.json(json!({"name": format!("Caller {place} of round {round}")}))
        },
        |responses| assert_eq!(statuses(responses), [vec![200], vec![412; CALLERS - 1]].concat()),
    );
    let edited = pair.app.native().get(&path).expect(200);
    assert_eq!((edited.json()["version"].clone(), edited.header("etag")), (json!(ROUNDS + 1), Some(&*tag(ROUNDS + 1))));
}

fn one_external_id_is_upserted_by_every_caller_and_created_by_one(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let body = json!({"email": format!("ada.{round}@example.com"), "name": format!("Caller {place}")});
            caller.request("PUT", &format!("/customers/external/ada.{round}")).json(body)
        },
        |responses| {
            assert_eq!(statuses(responses), [vec![200; CALLERS - 1], vec![201]].concat(), "{responses:?}");
            let ids: BTreeSet<_> = responses.iter().map(|response| response.text_at("/id")).collect();
            assert_eq!(ids.len(), 1);
            // Each call was done as a whole: the customer that it answers with is the one that it asked for.
            for (place, response) in responses.iter().enumerate() {
                assert_eq!(response.text_at("/name"), format!("Caller {place}"));
            }
            let versions: BTreeSet<_> = responses.iter().map(|response| response.json()["version"].as_u64()).collect();
            assert_eq!(versions, (1..=CALLERS as u64).map(Some).collect());
        },
    );
}

fn one_customer_is_created_once_and_returned_to_every_caller(database: Database) {
    let pair = Pair::start(database);
    // In every other round, the customer is known by its address alone.
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let mut body = json!({"name": format!("Caller {place}"), "on_conflict": "return_existing"});
            body["email"] = json!(respell(&format!("caller.{round}@example.com"), place));
            if round % 2 == 0 {
                body["external_id"] = json!(format!("caller.{round}"));
            }
            caller.request("POST", "/customers").json(body)
        },
        |responses| {
            assert_eq!(statuses(responses), [vec![200; CALLERS - 1], vec![201]].concat(), "{responses:?}");
            let bodies: BTreeSet<_> = responses.iter().map(Response::text).collect();
            assert_eq!(bodies.len(), 1, "{bodies:?}");
        },
    );
}

fn atomic_batches_in_opposite_orders_are_each_done_as_a_whole(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let upsert = |name: &str| {
                let body = json!({"email": format!("{name}.{round}@example.com"), "name": format!("Caller {place}")});
                json!({"op": "upsert", "external_id": format!("{name}.{round}"), "body": body})
            };
            let names = if place % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            caller.request("POST", "/customers/batch").json(json!({"items": names.map(upsert), "atomic": true}))
        },
        |responses| {
            assert_eq!(statuses(responses), [200; CALLERS], "{responses:?}");
            let results = responses.iter().map(|response| response.json()["results"].clone());
            let statuses: Vec<_> = results.map(|results| [0, 1].map(|item| results[item]["status"].as_u64())).collect();
            assert_eq!(statuses.iter().filter(|both| **both == [Some(201); 2]).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|both| **both == [Some(200); 2]).count(), CALLERS - 1, "{statuses:?}");
        },
    );
    for round in 0..ROUNDS {
        let name = |name: &str| pair.app.native().get(&format!("/customers/external/{name}.{round}")).text_at("/name");
        assert_eq!(name("a"), name("b"), "both were written by the last");
    }
}

fn of_atomic_batches_that_claim_one_identifier_one_is_done(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let create = |id: String| json!({"op": "create", "body": {"external_id": id, "allow_missing_email": true}});
            let items = [create(format!("own.{round}.{place}")), create(format!("one.{round}"))];
            caller.request("POST", "/customers/batch").json(json!({"items": items, "atomic": true}))
        },
        |responses| {
            let results = responses.iter().map(|response| response.clone().expect(200).json()["results"].clone());
            let mut statuses: Vec<_> =
                results.map(|results| [0, 1].map(|item| results[item]["status"].clone())).collect();
            statuses.sort_by_key(|both| both[0].as_u64());
            let (done, refused) = statuses.split_first().expect("responses");
            assert_eq!(*done, [json!(201), json!(201)]);
            assert!(refused.iter().all(|both| *both == [json!(424), json!(409)]), "{refused:?}");
        },
    );
    assert_eq!(rows_in(pair.app.database(), "customers").len(), 2 * ROUNDS);
}

/// Sends requests from [`CALLERS`] threads at the same time, [`ROUNDS`] times, and calls `check` with the responses of
/// each round.
fn race(
    callers: &[Caller; 2],
    request: impl for<'a> Fn(&'a Caller, usize, usize) -> Request<'a> + Sync,
    check: impl Fn(&[Response]),
) {
    let start = Barrier::new(CALLERS);
    let run = |place: usize| -> Vec<Result<Response, String>> {
        let rounds = (0..ROUNDS).map(|round| {
            start.wait();
            // No panic in here: the other threads would wait for this one forever.
            request(&callers[place * 2 / CALLERS], round, place).try_send().map_err(|error| error.to_string())
        });
        rounds.collect()
    };
    let by_caller: Vec<_> = thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..CALLERS).map(|place| scope.spawn(move || run(place))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).collect()
    });
    for round in 0..ROUNDS {
        let response = |responses: &Vec<Result<Response, String>>| responses[round].clone().expect("a response");
        check(&by_caller.iter().map(response).collect::<Vec<_>>());
    }
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    let mut statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    statuses
}

/// The address with the letters in upper case whose bits are set in `spelling`.
fn respell(address: &str, spelling: usize) -> String {
    let upper = |place: usize| spelling >> (place % 4) & 1 == 1;
    address.char_indices().map(|(place, c)| if upper(place) { c.to_ascii_uppercase() } else { c }).collect()
}
