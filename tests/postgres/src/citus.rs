use std::env;
use std::io::{self, Write as _};
use std::sync::{Once, OnceLock};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};

use crate::database::Server;

const URL: &str = "TEST_CITUS_URL";

/// A database on every server of a Citus cluster, the coordinator's first. It is removed when this is dropped.
#[derive(Debug)]
pub struct CitusDatabase {
    nodes: Vec<Server>,
    name: String,
    url: String,
}

/// A database of a Citus cluster that is filled once per process and copied for each test.
pub struct CitusTemplate {
    prepare: fn(&str),
    made: OnceLock<(Vec<Server>, String)>,
}

impl CitusTemplate {
    /// A template that `prepare` fills. It gets the URL of an empty database on the coordinator, in which tables may be distributed.
    #[must_use]
    pub const fn new(prepare: fn(&str)) -> Self {
        Self { prepare, made: OnceLock::new() }
    }

    /// Creates a copy. Without `TEST_CITUS_URL`, reports once that tests are skipped, and returns `None`.
    ///
    /// # Panics
    /// If the cluster refuses, and if `prepare` panics.
    #[must_use]
    pub fn database(&'static self) -> Option<CitusDatabase> {
        let Ok(url) = env::var(URL) else {
            report_skipped();
            return None;
        };
        let (nodes, template) = self.made.get_or_init(|| self.make(&url));
        Some(CitusDatabase::create(nodes.clone(), Some(template)))
    }

    fn make(&self, url: &str) -> (Vec<Server>, String) {
        let database = citus_database_at(url);
        (self.prepare)(&format!("{}{SETTINGS}", database.url));
        database.nodes.iter().for_each(|node| node.make_template(&database.name));
        let (nodes, name) = (database.nodes.clone(), database.name.clone());
        // Its copies need it until the process ends.
        std::mem::forget(database);
        (nodes, name)
    }
}

/// Creates an empty database in which tables may be distributed. Without `TEST_CITUS_URL`, reports once that tests are skipped, and
/// returns `None`.
///
/// # Panics
/// If the cluster refuses.
#[must_use]
pub fn citus_database() -> Option<CitusDatabase> {
    let Ok(url) = env::var(URL) else {
        report_skipped();
        return None;
    };
    Some(citus_database_at(&url))
}

fn citus_database_at(url: &str) -> CitusDatabase {
    let coordinator = Server::new(url.to_owned());
    let nodes: Vec<(i32, String, i32)> = sql::<(Integer, Text, Integer)>(
        "SELECT groupid, nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid",
    )
    .load(&mut coordinator.connect())
    .unwrap_or_else(|error| panic!("{URL} names no coordinator of a Citus cluster: {error}"));
    assert!(nodes.first().is_some_and(|(group, ..)| *group == 0), "the coordinator is in no metadata: {nodes:?}");
    let servers = nodes.iter().map(|(_, host, port)| coordinator.at(host, *port)).collect();
    let database = CitusDatabase::create(servers, None);
    for node in &database.nodes {
        connect(&node.url(&database.name)).batch_execute("CREATE EXTENSION citus").expect("the extension");
    }
    let mut connection = connect(&database.url);
    for (group, host, port) in &nodes {
        let function = if *group == 0 { "citus_set_coordinator_host" } else { "citus_add_node" };
        connection.batch_execute(&format!("SELECT {function}('{host}', {port})")).expect("a node");
    }
    database
}

/// The settings of the connection that fills a template, as a part of its URL: few shards, so that it is copied fast.
const SETTINGS: &str = "?options=-c%20citus.shard_count%3D2";

impl CitusDatabase {
    fn create(nodes: Vec<Server>, template: Option<&str>) -> Self {
        let name = nodes[0].create_database(template);
        for node in &nodes[1..] {
            node.create_database_called(&name, template);
        }
        let url = nodes[0].url(&name);
        Self { nodes, name, url }
    }

    /// The URL of the database on the coordinator.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for CitusDatabase {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.drop_database(&self.name);
        }
    }
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap_or_else(|error| panic!("no connection to a server of the cluster: {error}"))
}

/// One line for all tests: there are hundreds.
fn report_skipped() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Not `eprintln!`: the test harness hides its output when the test passes. A closed standard error is no failure.
        let _ = io::stderr().write_all(format!("SKIPPED all tests on Citus: {URL} is not set\n").as_bytes());
    });
}
