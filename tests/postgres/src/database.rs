use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::OnceLock;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};

use crate::cluster::{Cluster, ClusterOptions};
use crate::installation::report_skipped;
use crate::process;

/// The server that databases are created on.
#[derive(Debug, Clone)]
pub struct Server {
    /// The URL of an existing database.
    url: String,
}

/// A database for one test. It is removed when this is dropped, even if clients are still connected.
#[derive(Debug)]
pub struct Database {
    server: Server,
    name: String,
    url: String,
}

/// A database that is filled once per process and copied for each test: copying is faster than filling.
pub struct Template {
    prepare: fn(&str),
    name: OnceLock<String>,
}

/// Creates an empty database. If there is no server, reports the test as skipped and returns `None`.
///
/// # Panics
/// If the server refuses, or if there is none and `ROSTER_REQUIRE_POSTGRES` is `1`.
#[must_use]
pub fn database() -> Option<Database> {
    let server = Shared::get()?.server();
    let name = server.create_database(None);
    Some(Database::new(server, name))
}

impl Database {
    fn new(server: Server, name: String) -> Self {
        let url = server.url(&name);
        Self { server, name, url }
    }

    /// The URL to connect to it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.drop_database(&self.name);
    }
}

impl Template {
    /// A template that `prepare` fills. It gets the URL of an empty database.
    #[must_use]
    pub const fn new(prepare: fn(&str)) -> Self {
        Self { prepare, name: OnceLock::new() }
    }

    /// Creates a copy. If there is no server, reports the test as skipped and returns `None`.
    ///
    /// # Panics
    /// Where [`database`] panics, and if `prepare` panics.
    #[must_use]
    pub fn database(&'static self) -> Option<Database> {
        match Shared::get()? {
            Shared::Own(cluster) => {
                let server = cluster.server();
                let template = self.name.get_or_init(|| self.make(&server));
                let name = server.create_database(Some(template));
                Some(Database::new(server, name))
            }
            // This server outlives the tests, and a template would stay on it, so each database is filled.
            Shared::Given(server) => {
                let database = Database::new(server.clone(), server.create_database(None));
                (self.prepare)(database.url());
                Some(database)
            }
        }
    }

    fn make(&self, server: &Server) -> String {
        let name = server.create_database(None);
        (self.prepare)(&server.url(&name));
        server.make_template(&name);
        name
    }
}

/// The server that all tests of this process share.
enum Shared {
    /// The server that `TEST_DATABASE_URL` names.
    Given(Server),
    /// A server that this process started.
    Own(Cluster),
}

impl Shared {
    fn get() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::find).as_ref();
        if shared.is_none() {
            // Here, not in `find`: each skipped test is reported.
            report_skipped();
        }
        shared
    }

    fn find() -> Option<Self> {
        match env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(Self::Given(Server::new(url))),
            Err(_) => Cluster::create_if_installed(ClusterOptions::default()).map(Self::Own),
        }
    }

    fn server(&self) -> Server {
        match self {
            Self::Given(server) => server.clone(),
            Self::Own(cluster) => cluster.server(),
        }
    }
}

impl Server {
    /// The server of the database with this URL.
    pub fn new(url: String) -> Self {
        Self { url }
    }

    /// The URL of another database of the server.
    pub fn url(&self, database: &str) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            // The form `key=value`: the last value of a key counts.
            return format!("{} dbname={database}", self.url);
        };
        let (place, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let authority = place.split('/').next().unwrap_or_default();
        format!("{scheme}://{authority}/{database}{query}")
    }

    /// Creates a database, empty or as a copy of `template`, and returns its name.
    pub fn create_database(&self, template: Option<&str>) -> String {
        let name = format!("roster_test_{:016x}", RandomState::new().build_hasher().finish());
        self.create_database_called(&name, template);
        name
    }

    /// Creates a database with this name, empty or as a copy of `template`.
    pub fn create_database_called(&self, name: &str, template: Option<&str>) {
        let mut connection = self.connect();
        let source = template.map(|template| copy_of(&mut connection, template)).unwrap_or_default();
        connection.batch_execute(&format!("CREATE DATABASE {name}{source}")).expect("a new database");
    }

    /// Removes a database, even if clients are still connected. If there is no connection, the server was stopped, and its databases are
    /// removed with it.
    pub fn drop_database(&self, name: &str) {
        if let Ok(mut connection) = PgConnection::establish(&self.url) {
            let _ = connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }

    /// The server of the same kind at another place.
    pub fn at(&self, host: &str, port: i32) -> Self {
        let (scheme, rest) = self.url.split_once("://").expect("a URL with a scheme");
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let account = authority.rsplit_once('@').map(|(account, _)| format!("{account}@")).unwrap_or_default();
        Self { url: format!("{scheme}://{account}{host}:{port}{path}") }
    }

    /// Allows no more connections to a database, and ends those that there are: PostgreSQL copies no database that
    /// a client is connected to. Returns when all connections have ended.
    pub fn make_template(&self, database: &str) {
        let disconnect = format!(
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        let mut connection = self.connect();
        connection.batch_execute(&disconnect).expect("a database can be made a template");
        // `pg_terminate_backend` sends a signal and does not wait for the end of the process.
        let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        let none_connected = || {
            let count: i64 = sql::<BigInt>(&connected).get_result(&mut connection).expect("the number of connections");
            count == 0
        };
        process::wait_until(|| format!("clients are still connected to {database}"), none_connected);
    }

    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap_or_else(|error| panic!("no connection to the test server: {error}"))
    }
}

/// The end of a `CREATE DATABASE` that copies `template`.
///
/// PostgreSQL 15 and later let the client choose the strategy: for a small database, copying its files is faster than
/// writing its pages to the log.
fn copy_of(connection: &mut PgConnection, template: &str) -> String {
    let version = diesel::select(sql::<Integer>("current_setting('server_version_num')::integer"));
    let version: i32 = version.get_result(connection).expect("the version of the server");
    let strategy = if version >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
    format!(" TEMPLATE {template}{strategy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(url: &str) -> String {
        Server::new(url.to_owned()).url("x")
    }

    #[test]
    fn the_url_of_another_server_differs_only_in_the_place() {
        let at = |url: &str| Server::new(url.to_owned()).at("w1", 7).url;
        assert_eq!(at("postgres://u:p@h:1/db?sslmode=require"), "postgres://u:p@w1:7/db?sslmode=require");
        assert_eq!(at("postgres://h"), "postgres://w1:7");
    }

    #[test]
    fn the_url_of_another_database_differs_only_in_the_name() {
        assert_eq!(other("postgres://u:p@h:1/db?sslmode=require"), "postgres://u:p@h:1/x?sslmode=require");
        assert_eq!(other("postgres://h"), "postgres://h/x");
        assert_eq!(other("postgresql:///db?host=/tmp/a&user=u"), "postgresql:///x?host=/tmp/a&user=u");
        assert_eq!(other("host=/tmp dbname=db"), "host=/tmp dbname=db dbname=x");
    }
}
