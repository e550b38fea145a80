//! The two databases: made, filled, and weighed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_test_postgres::{Cluster, ClusterOptions};

use crate::dataset::{Dataset, Dialect};
use crate::interrupt::Interrupt;
use crate::service::Program;

/// Customers that are made by one statement.
const AT_ONCE: u64 = 250_000;

/// A database that is filled.
pub struct Database {
    /// What it is.
    pub kind: Kind,
    /// What the service is told to find it.
    pub url: String,
    /// What is in it.
    pub dataset: Dataset,
    /// A key of each merchant.
    pub keys: Vec<String>,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A server.
    Postgres,
    /// A file.
    Sqlite,
}

impl Kind {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Sqlite];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// A table or an index, and what it weighs on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its name.
    pub name: String,
    /// Bytes, its free pages among them.
    pub bytes: u64,
}

/// Where databases are made: a PostgreSQL server with its own defaults.
pub struct Place(Cluster);

impl Place {
    /// Starts the server.
    pub fn prepare() -> anyhow::Result<Self> {
        let cluster = Cluster::create(ClusterOptions { durable: true, tcp: false });
        Ok(Self(cluster.context("no PostgreSQL server is installed")?))
    }

    /// The processes of the server.
    pub fn server(&self) -> Vec<u32> {
        self.0.processes()
    }

    /// The version of the server, and every setting that is not the built-in default or that durability rests on.
    pub fn server_settings(&self) -> anyhow::Result<(String, Vec<String>)> {
        let mut connection = connect(&self.0.create_database())?;
        let version = sql::<Text>("SELECT current_setting('server_version')").get_result(&mut connection)?;
        let settings = sql::<Text>(
            "SELECT name || ' = ' || current_setting(name) FROM pg_settings
             WHERE (source IN ('configuration file', 'command line') AND name !~ '^(lc_|log_|port|unix|listen|Date|TimeZone|def)')
             OR name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'wal_segment_size')
             ORDER BY name",
        );
        Ok((version, settings.load(&mut connection)?))
    }

    /// Makes a database with `dataset` in it. A file is made in `folder`.
    pub fn fill(
        &self,
        kind: Kind,
        dataset: Dataset,
        program: &Program,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Database> {
        let started = Instant::now();
        let url = match kind {
            Kind::Postgres => self.0.create_database(),
            Kind::Sqlite => format!("sqlite://{}", folder.join("roster.db").display()),
        };
        program.command(&url, &["migrate"])?;
        let mut session = Session::open(kind, &url)?;
        session.execute(&dataset.merchants_sql(kind.dialect()))?;
        let keys = dataset.merchant_ids().map(|merchant| program.create_key(&url, merchant));
        let keys = keys.collect::<anyhow::Result<_>>()?;
        let mut place = 0;
        while place < dataset.customers {
            interrupt.check()?;
            let count = AT_ONCE.min(dataset.customers - place);
            session.execute(&dataset.customers_sql(kind.dialect(), place, count))?;
            place += count;
        }
        session.settle()?;
        println!("{} customers in {}: {:.1?}", dataset.customers, kind.name(), started.elapsed());
        Ok(Database { kind, url, dataset, keys })
    }
}

impl Kind {
    fn dialect(self) -> Dialect {
        match self {
            Self::Postgres => Dialect::Postgres,
            Self::Sqlite => Dialect::Sqlite,
        }
    }
}

impl Database {
    /// What the customers weigh: the table, and each of its indexes.
    pub fn weigh(&self) -> anyhow::Result<Vec<Weight>> {
        Session::open(self.kind, &self.url)?.weigh()
    }
}

/// A connection to either database.
enum Session {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Session {
    fn open(kind: Kind, url: &str) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Postgres => Self::Postgres(connect(url)?),
            Kind::Sqlite => {
                let path = url.strip_prefix("sqlite://").context("no URL of a file")?;
                let mut connection = SqliteConnection::establish(path)?;
                // For filling alone; the service sets its own connections.
                connection.batch_execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000")?;
                Self::Sqlite(connection)
            }
        })
    }

    fn execute(&mut self, statement: &str) -> anyhow::Result<()> {
        match self {
            Self::Postgres(connection) => connection.batch_execute(statement),
            Self::Sqlite(connection) => connection.batch_execute(statement),
        }
        .with_context(|| format!("{statement:.200}"))
    }

    /// What a database in use does by itself sooner or later, done now. SQLite gathers no statistics unless it is asked
    /// to, and the service does not ask.
    fn settle(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(_) => {
                self.execute("VACUUM ANALYZE")?;
                self.execute("CHECKPOINT")
            }
            Self::Sqlite(_) => self.execute("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)"),
        }
    }

    fn weigh(&mut self) -> anyhow::Result<Vec<Weight>> {
        let (of_postgres, of_sqlite) = (
            "SELECT c.relname || ' ' || pg_relation_size(c.oid) FROM pg_class c
             LEFT JOIN pg_index i ON i.indexrelid = c.oid
             WHERE 'customers'::regclass IN (c.oid, i.indrelid) ORDER BY c.relkind DESC, c.relname",
            "SELECT name || ' ' || sum(pgsize) FROM dbstat
             WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'customers')
             AND aggregate = TRUE GROUP BY name ORDER BY name <> 'customers', name",
        );
        let lines: Vec<String> = match self {
            Self::Postgres(connection) => sql::<Text>(of_postgres).load(connection)?,
            Self::Sqlite(connection) => sql::<Text>(of_sqlite).load(connection)?,
        };
        let weight = |line: &String| {
            let (name, bytes) = line.split_once(' ').ok_or_else(|| anyhow!("{line}"))?;
            Ok(Weight { name: name.to_owned(), bytes: bytes.parse()? })
        };
        lines.iter().map(weight).collect()
    }
}

fn connect(url: &str) -> anyhow::Result<PgConnection> {
    PgConnection::establish(url).with_context(|| format!("no connection to {url}"))
}
