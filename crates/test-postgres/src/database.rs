use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::OnceLock;

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;

use crate::cluster::{Cluster, ClusterOptions};
use crate::installation::say_skipped;

/// Where databases are made.
#[derive(Debug, Clone)]
pub struct Server {
    /// The URL of a database that is there.
    url: String,
}

/// A database of a test's own. Dropping it removes it, whoever is still connected.
#[derive(Debug)]
pub struct Database {
    server: Server,
    name: String,
    url: String,
}

/// A database that is filled once in each process and copied for each test, which is faster than filling each.
pub struct Template {
    prepare: fn(&str),
    name: OnceLock<String>,
}

/// Makes an empty database. `None`, once that is said aloud, if there is no server to be had.
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
        // A server that is gone has taken its databases along.
        if let Ok(mut connection) = PgConnection::establish(&self.server.url) {
            let _ = connection.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

impl Template {
    /// A template that `prepare` fills, given the URL of an empty database.
    #[must_use]
    pub const fn new(prepare: fn(&str)) -> Self {
        Self { prepare, name: OnceLock::new() }
    }

    /// Makes a copy of it. `None`, once that is said aloud, if there is no server to be had.
    ///
    /// # Panics
    /// As [`database`] does, or if `prepare` does.
    #[must_use]
    pub fn database(&'static self) -> Option<Database> {
        match Shared::get()? {
            Shared::Own(cluster) => {
                let server = cluster.server();
                let template = self.name.get_or_init(|| self.make(&server));
                let name = server.create_database(Some(template));
                Some(Database::new(server, name))
            }
            // A template would outlive the tests on a server that does, so each database is filled by itself.
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
        server.close(&name);
        name
    }
}

/// The server that all tests of this process share.
enum Shared {
    /// The one `TEST_DATABASE_URL` names.
    Given(Server),
    /// One of this process.
    Own(Cluster),
}

impl Shared {
    fn get() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::find).as_ref();
        if shared.is_none() {
            // Each test that is skipped says so.
            say_skipped();
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
            // The form `key=value`, where the last of two counts.
            return format!("{} dbname={database}", self.url);
        };
        let (place, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let authority = place.split('/').next().unwrap_or_default();
        format!("{scheme}://{authority}/{database}{query}")
    }

    /// Makes a database, empty or as a copy of `template`, and returns its name.
    pub fn create_database(&self, template: Option<&str>) -> String {
        let name = format!("roster_test_{:016x}", RandomState::new().build_hasher().finish());
        let mut connection = self.connect();
        let source = template.map(|template| copy_of(&mut connection, template)).unwrap_or_default();
        connection.batch_execute(&format!("CREATE DATABASE {name}{source}")).expect("a database can be made");
        name
    }

    /// Lets nobody connect to a database any more, and throws out who is: a template must be left alone while it is
    /// copied.
    fn close(&self, database: &str) {
        let throw_out = format!(
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        self.connect().batch_execute(&throw_out).expect("a template can be closed");
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap_or_else(|error| panic!("no connection to the test server: {error}"))
    }
}

/// Copies files where the server lets us choose: a small database is copied faster that way than through its log.
fn copy_of(connection: &mut PgConnection, template: &str) -> String {
    let version = diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>(
        "current_setting('server_version_num')::integer",
    ));
    let version: i32 = version.get_result(connection).expect("the server knows its version");
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
    fn the_url_of_another_database_keeps_all_but_the_name() {
        assert_eq!(other("postgres://u:p@h:1/db?sslmode=require"), "postgres://u:p@h:1/x?sslmode=require");
        assert_eq!(other("postgres://h"), "postgres://h/x");
        assert_eq!(other("postgresql:///db?host=/tmp/a&user=u"), "postgresql:///x?host=/tmp/a&user=u");
        assert_eq!(other("host=/tmp dbname=db"), "host=/tmp dbname=db dbname=x");
    }
}
