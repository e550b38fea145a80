//! The primary freezes and its standby is promoted, in a URL that names both.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_test_postgres::{Cluster, ClusterOptions};
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::{App, Database};

use crate::silence::parts;
use crate::traffic::{SETTINGS, Traffic};

#[test]
#[ignore = "slow: make faults"]
fn a_frozen_primary_is_left_for_its_promoted_standby() {
    let Some(primary) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&primary);
    let standby = primary.standby();
    commit_on_both(&origin);
    let (first, name) = parts(origin.url());
    let copy = origin.reached_by(standby.url(name));
    let (second, _) = parts(copy.url());
    let both = format!("postgresql://postgres@{first},{second}/{name}?target_session_attrs=read-write");
    let app = App::start_with(origin.reached_by(both), &SETTINGS);
    let traffic = Traffic::start(&app);
    // The requests of this time meet the frozen primary. Those that it has acknowledged are on the standby.
    traffic.during(|| {
        primary.freeze();
        copy.administrator().batch_execute("SELECT pg_promote()").expect("a promotion");
    });
    traffic.recovers_from(Stopwatch::start());
    traffic.nothing_is_lost();
}

/// From now on, the primary acknowledges a commit after its standby has written it. Only the primary gets the setting: the
/// standby, once promoted, has no standby.
fn commit_on_both(primary: &Database) {
    let mut administrator = primary.administrator();
    administrator.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").expect("a setting");
    administrator.batch_execute("SELECT pg_reload_conf()").expect("a signal");
    until("the standby is synchronous", TIMEOUT, || {
        let synchronous = sql::<BigInt>("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
        (synchronous.get_result::<i64>(&mut administrator) == Ok(1)).then_some(())
    });
}
