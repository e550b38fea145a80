//! A separate database for every test.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use diesel::{Connection as _, PgConnection, SqliteConnection};
use roster_test_postgres::{CitusDatabase, CitusTemplate, Cluster, ClusterOptions, Template};
use tempfile::TempDir;

use crate::app::Tenants;
use crate::program::roster;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A database. It is removed when this is dropped.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    url: String,
    tenants: Option<Tenants>,
    _cleanup: Cleanup,
}

/// Removes the database when it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "the values are only dropped")]
enum Cleanup {
    Folder(TempDir),
    Server(roster_test_postgres::Database),
    Citus(CitusDatabase),
    /// Another value removes it: the cluster, or the database that this is another URL of.
    Elsewhere,
}

impl Database {
    /// An empty database, without tables. `None` if there is no server for it.
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn empty(kind: Kind) -> Option<Self> {
        println!("on an empty {kind}");
        match kind {
            Kind::Sqlite => {
                let folder = TempDir::new().expect("a temporary folder");
                let url = sqlite_url(folder.path());
                Some(Self { kind, url, tenants: None, _cleanup: Cleanup::Folder(folder) })
            }
            Kind::Postgres => {
                let server = roster_test_postgres::database()?;
                Some(Self { kind, url: server.url().to_owned(), tenants: None, _cleanup: Cleanup::Server(server) })
            }
        }
    }

    /// A migrated database with [`Tenants`]. `None` if there is no server for it.
    #[must_use]
    pub fn prepared(kind: Kind) -> Option<Self> {
        println!("on {kind}");
        match kind {
            Kind::Sqlite => Some(prepared_sqlite()),
            Kind::Postgres => prepared_postgres(),
        }
    }

    /// A prepared database whose tables Citus distributes; none without a cluster.
    #[must_use]
    pub fn distributed() -> Option<Self> {
        static TENANTS: OnceLock<Tenants> = OnceLock::new();
        static TEMPLATE: CitusTemplate = CitusTemplate::new(|url| {
            let finished = roster(url, &[], &["migrate", "--citus"]);
            assert!(finished.status.success(), "roster migrate --citus: {finished:?}");
            TENANTS.set(Tenants::create(url)).expect("a template is prepared once");
        });
        let database = TEMPLATE.database()?;
        let (url, tenants) = (database.url().to_owned(), TENANTS.get().cloned());
        Some(Self { kind: Kind::Postgres, url, tenants, _cleanup: Cleanup::Citus(database) })
    }

    /// A prepared database on a separate PostgreSQL server, which the test may stop, kill and freeze. `None` if
    /// PostgreSQL is not installed.
    #[must_use]
    pub fn on_own_server() -> Option<(Self, Cluster)> {
        let cluster = Cluster::create(ClusterOptions { durable: true, tcp: false })?;
        Some((Self::on(&cluster), cluster))
    }

    /// A prepared database on `cluster`. It ends with the cluster.
    #[must_use]
    pub fn on(cluster: &Cluster) -> Self {
        let url = cluster.create_database();
        let tenants = Some(Tenants::create(&url));
        Self { kind: Kind::Postgres, url, tenants, _cleanup: Cleanup::Elsewhere }
    }

    /// This database, reached by another URL, such as that of a proxy or of a standby. It must not outlive `self`.
    #[must_use]
    pub fn reached_by(&self, url: String) -> Self {
        Self { kind: self.kind, url, tenants: self.tenants.clone(), _cleanup: Cleanup::Elsewhere }
    }

    /// Connects to the PostgreSQL database, as an administrator.
    ///
    /// # Panics
    /// If it does not answer, or is a SQLite file.
    #[must_use]
    pub fn administrator(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap_or_else(|error| panic!("no connection to the database: {error}"))
    }

    /// An empty database of the same kind.
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn into_empty(self) -> Self {
        Self::empty(self.kind).expect("an empty database")
    }

    /// The kind of database.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The URL that the program connects to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file of a SQLite database.
    ///
    /// # Panics
    /// If it is on PostgreSQL.
    #[must_use]
    pub fn file(&self) -> &Path {
        Path::new(self.url.strip_prefix("sqlite://").expect("the URL of a file"))
    }

    /// A connection to a SQLite database beside those of the program.
    ///
    /// # Panics
    /// If it is on PostgreSQL, or the file cannot be opened.
    #[must_use]
    pub fn open_file(&self) -> SqliteConnection {
        SqliteConnection::establish(&self.file().to_string_lossy()).expect("the database")
    }

    /// Its merchants and keys.
    ///
    /// # Panics
    /// If it was created empty.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        self.tenants.as_ref().expect("a prepared database")
    }
}

const FILE: &str = "roster.db";

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join(FILE).display())
}

/// One of the files of a SQLite database.
struct File {
    name: String,
    bytes: Vec<u8>,
}

/// Creates the database once per process and copies it for each test: creating it takes seven runs of the program.
fn prepared_sqlite() -> Database {
    static TEMPLATE: OnceLock<(Vec<File>, Tenants)> = OnceLock::new();
    let (files, tenants) = TEMPLATE.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let tenants = Tenants::create(&sqlite_url(folder.path()));
        let files = fs::read_dir(folder.path()).expect("the folder").map(|entry| {
            let entry = entry.expect("a file");
            let name = entry.file_name().into_string().expect("the file's name");
            File { name, bytes: fs::read(entry.path()).expect("the file") }
        });
        (files.collect(), tenants)
    });
    let folder = TempDir::new().expect("a temporary folder");
    for File { name, bytes } in files {
        fs::write(folder.path().join(name), bytes).expect("a copy");
    }
    let url = sqlite_url(folder.path());
    Database { kind: Kind::Sqlite, url, tenants: Some(tenants.clone()), _cleanup: Cleanup::Folder(folder) }
}

fn prepared_postgres() -> Option<Database> {
    static TENANTS: OnceLock<Tenants> = OnceLock::new();
    static TEMPLATE: Template = Template::new(|url| {
        TENANTS.set(Tenants::create(url)).expect("a template is prepared once");
    });
    let server = TEMPLATE.database()?;
    let tenants = TENANTS.get().cloned();
    Some(Database { kind: Kind::Postgres, url: server.url().to_owned(), tenants, _cleanup: Cleanup::Server(server) })
}

/// Migrates the database with `url` with a command of the program.
pub(crate) fn migrate(url: &str) {
    let finished = roster(url, &[], &["migrate"]);
    assert!(finished.status.success(), "roster migrate: {finished:?}");
}
