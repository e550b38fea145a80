//! A database that was restored from a dump. The dump has no statistics, and the first statements of the service are
//! planned without any.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_test_postgres::client_program;
use roster_tests::bulk::load_customers_of;
use roster_tests::client::encode;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::{Signal, run};
use roster_tests::{App, Caller, Database, Kind};

/// Customers of the larger merchant.
const MANY: usize = 500_000;

/// Customers of the smaller merchant, beside which the larger one is stored.
const FEW: usize = 1000;

/// Pages of 25 customers that are read of each list.
const PAGES: usize = 20;

/// The most rows that a page of 25 may read.
const ROWS_OF_PAGE: i64 = 100;

/// The most blocks that a page of 25 may read: each row may be in a block of its own, beside those of the index.
const BLOCKS_OF_PAGE: i64 = 200;

/// The customers are inserted with SQL, so they are not in the index for searches. The job that adds them would be counted.
const SETTINGS: [(&str, &str); 1] = [("ROSTER__SEARCH__ENABLED", "false")];

#[test]
#[ignore = "slow: make faults"]
fn a_restored_database_lists_without_reading_more_than_it_shows() {
    let Some(database) = Database::prepared(Kind::Postgres) else { return };
    load_customers_of(&database, &database.tenants().ours, MANY);
    load_customers_of(&database, &database.tenants().theirs, FEW);
    let Some(empty) = Database::empty(Kind::Postgres) else { return };
    restore(&database, &empty);
    let copy = database.reached_by(empty.url().to_owned());
    let start = Work::of(&copy);
    assert_eq!(start.analysed, 0, "the restored tables have statistics already");

    // Plans that were made before ANALYZE are used after it, on the same connections.
    let mut app = App::start_with(copy.reached_by(copy.url().to_owned()), &SETTINGS);
    let before = list(&app);
    copy.administrator().batch_execute("ANALYZE").expect("statistics");
    let after = list(&app);
    stop(&mut app, &copy);
    let analysed = Work::of(&copy);
    analysed.since(start).is_at_most(before + after, "with plans from before ANALYZE");

    let mut app = App::start_with(copy.reached_by(copy.url().to_owned()), &SETTINGS);
    let again = list(&app);
    stop(&mut app, &copy);
    Work::of(&copy).since(analysed).is_at_most(again, "with plans from after ANALYZE");
}

/// Dumps `database` and restores it into `empty`, with the tools of PostgreSQL.
fn restore(database: &Database, empty: &Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dump");
    let dumped = run(client_program("pg_dump").arg("--format=custom").arg("--file").arg(&file).arg(database.url()));
    assert!(dumped.status.success(), "{dumped:?}");
    let restored = run(client_program("pg_restore").arg("--no-owner").arg("--dbname").arg(empty.url()).arg(&file));
    assert!(restored.status.success(), "{restored:?}");
}

/// Lists customers of both merchants on all surfaces, and returns the number of pages.
fn list(app: &App) -> i64 {
    let mut pages = 0;
    for key in [&app.tenants().ours.live, &app.tenants().theirs.live] {
        pages += read_pages(&app.native().with_key(key), PAGES);
        pages += read_pages(&app.lava().with_key(key), PAGES);
    }
    let whole = app.lumen().with_key(&app.tenants().theirs.live).get("/customers").expect(200).json();
    let listed = whole["customers"].as_array().map_or(0, Vec::len);
    assert_eq!(listed, FEW);
    i64::try_from(pages + FEW / 25).expect("a small number")
}

/// Reads `count` pages, one after the other.
fn read_pages(caller: &Caller, count: usize) -> usize {
    let mut path = "/customers?limit=25".to_owned();
    for _ in 0..count {
        let page = caller.get(&path).expect(200);
        assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(25), "{page:?}");
        path = format!("/customers?limit=25&cursor={}", encode(&page.text_at("/next_cursor")));
    }
    count
}

/// Stops the service, and waits until its connections have ended: a connection may report what it has read no earlier.
fn stop(app: &mut App, database: &Database) {
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    let mut administrator = database.administrator();
    until("the connections of the service end", TIMEOUT, || {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = 'roster' AND datname = current_database()";
        (sql::<BigInt>(open).get_result::<i64>(&mut administrator) == Ok(0)).then_some(())
    });
}

/// What has been read of the table of customers so far.
#[derive(Debug, Clone, Copy)]
struct Work {
    sequential_scans: i64,
    rows: i64,
    blocks: i64,
    analysed: i64,
}

impl Work {
    fn of(database: &Database) -> Self {
        let mut administrator = database.administrator();
        let mut read = |columns: &str| -> i64 {
            let totals = "pg_stat_user_tables JOIN pg_statio_user_tables USING (relid)";
            let query = format!("SELECT ({columns})::bigint FROM {totals} WHERE relid = 'customers'::regclass");
            sql::<BigInt>(&query).get_result(&mut administrator).expect("a number")
        };
        Self {
            sequential_scans: read("seq_scan"),
            rows: read("coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"),
            blocks: read("heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)"),
            analysed: read("analyze_count + autoanalyze_count"),
        }
    }

    fn since(self, start: Self) -> Self {
        Self {
            sequential_scans: self.sequential_scans - start.sequential_scans,
            rows: self.rows - start.rows,
            blocks: self.blocks - start.blocks,
            analysed: self.analysed,
        }
    }

    /// Asserts that `pages` pages were read of an index, and little more than these.
    fn is_at_most(self, pages: i64, when: &str) {
        println!("{pages} pages {when}: {self:?}");
        assert_eq!(self.sequential_scans, 0, "{when}, a list scans all customers: {self:?}");
        let (rows, blocks) = (self.rows / pages, self.blocks / pages);
        assert!(rows <= ROWS_OF_PAGE, "{when}, a page of 25 customers reads {rows} rows: {self:?}");
        assert!(blocks <= BLOCKS_OF_PAGE, "{when}, a page of 25 customers reads {blocks} blocks: {self:?}");
    }
}
