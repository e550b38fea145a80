//! Stops under load, often enough to meet rare moments: too slow for `make test`.

use roster_tests::{Database, Kind};

use crate::stopping::stop_under_load;

const STOPS: usize = 20;

/// Requests that are answered before each stop.
const REQUESTS: usize = 2500;

#[test]
#[ignore = "make faults"]
fn twenty_stops_under_load_lose_no_request_on_sqlite() {
    stop_often(Kind::Sqlite);
}

#[test]
#[ignore = "make faults"]
fn twenty_stops_under_load_lose_no_request_on_postgres() {
    stop_often(Kind::Postgres);
}

fn stop_often(kind: Kind) {
    if let Some(database) = Database::prepared(kind) {
        stop_under_load(database, STOPS, REQUESTS);
    }
}
