//! Sixteen callers at once, a hundred times, on two instances of the service over one database.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use roster_tests::client::{Request, Surface, agent};
use roster_tests::program::Program;
use roster_tests::{Answer, App, Caller, Database, on_both_databases};
use serde_json::json;

const CALLERS: usize = 16;
const ROUNDS: usize = 100;

on_both_databases! {
    one_reference_is_created_once_and_everybody_gets_it,
    one_address_in_all_its_spellings_is_taken_once,
    one_address_is_not_doubled_by_those_who_share_it_either,
    one_address_is_taken_once_by_those_who_change_to_it,
}

fn one_reference_is_created_once_and_everybody_gets_it(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Lava),
        |caller, round, place| {
            let body = json!({"reference_id": format!("ref-{round}"), "name": format!("Caller {place}")});
            caller.request("POST", "/customers").json(body)
        },
        |answers| {
            assert_eq!(statuses(answers), [vec![200; CALLERS - 1], vec![201]].concat());
            let bodies: BTreeSet<_> = answers.iter().map(Answer::text).collect();
            assert_eq!(bodies.len(), 1, "{bodies:?}");
        },
    );
}

fn one_address_in_all_its_spellings_is_taken_once(database: Database) {
    let pair = Pair::start(database);
    race(
        &pair.callers(Surface::Lumen),
        |caller, round, place| {
            let email = respell(&format!("caller.{round}@example.com"), place);
            caller.request("POST", "/customers").json(json!({"email": email}))
        },
        |answers| {
            assert_eq!(statuses(answers), [vec![201], vec![409; CALLERS - 1]].concat());
        },
    );
}

fn one_address_is_not_doubled_by_those_who_share_it_either(database: Database) {
    let pair = Pair::start(database);
    // Half of them insist on the address and half share it: no more than one who insists may get it.
    race(
        &pair.callers(Surface::Lumen),
        |caller, round, place| {
            caller.request("POST", "/customers").json(json!({
                "email": format!("caller.{round}@example.com"),
                "dangerouslyAllowSameEmailForDifferentCustomers": place % 2 == 0,
            }))
        },
        |answers| {
            let created = |parity: usize| {
                answers.iter().enumerate().filter(|(place, answer)| place % 2 == parity && answer.status == 201).count()
            };
            assert_eq!(created(0), CALLERS / 2, "{answers:?}");
            assert!(created(1) <= 1, "{answers:?}");
            assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)), "{answers:?}");
        },
    );
}

fn one_address_is_taken_once_by_those_who_change_to_it(database: Database) {
    let pair = Pair::start(database);
    let create = |place| pair.app.native().post("/customers", json!({"email": format!("caller.{place}@example.com")}));
    let ids: Vec<_> = (0..CALLERS).map(|place| create(place).expect(201).text_at("/id")).collect();
    race(
        &pair.callers(Surface::Native),
        |caller, round, place| {
            let change = json!({"email": format!("wanted.{round}@example.com")});
            caller.request("PATCH", &format!("/customers/{}", ids[place])).json(change)
        },
        |answers| assert_eq!(statuses(answers), [vec![200], vec![409; CALLERS - 1]].concat()),
    );
}

/// Two instances: what keeps one process in order must not be what keeps the data in order.
struct Pair {
    app: App,
    other: Program,
}

impl Pair {
    fn start(database: Database) -> Self {
        let app = App::start(database);
        let other = Program::serve(app.database().url(), &[]);
        Self { app, other }
    }

    /// A caller of each instance.
    fn callers(&self, surface: Surface) -> [Caller; 2] {
        let other = Caller::new(agent(), self.other.address(), surface.base());
        [self.app.surface(surface), other.with_key(&self.app.tenants().ours.live)]
    }
}

/// Calls from [`CALLERS`] threads at once, [`ROUNDS`] times, and judges the answers of each round.
fn race(
    callers: &[Caller; 2],
    request: impl for<'a> Fn(&'a Caller, usize, usize) -> Request<'a> + Sync,
    judge: impl Fn(&[Answer]),
) {
    let start = Barrier::new(CALLERS);
    let run = |place: usize| -> Vec<Result<Answer, String>> {
        let rounds = (0..ROUNDS).map(|round| {
            start.wait();
            // Nobody panics in here: the others would wait for ever.
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
        let answer = |answers: &Vec<Result<Answer, String>>| answers[round].clone().expect("an answer");
        judge(&by_caller.iter().map(answer).collect::<Vec<_>>());
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// The address with the letters in upper case that the bits of `spelling` name.
fn respell(address: &str, spelling: usize) -> String {
    let upper = |place: usize| spelling >> (place % 4) & 1 == 1;
    address.char_indices().map(|(place, c)| if upper(place) { c.to_ascii_uppercase() } else { c }).collect()
}
