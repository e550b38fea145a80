//! The two databases: creates them, fills them, and reads the sizes of their tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_application::ports::Store;
use roster_domain::{Environment, Tenant};
use roster_postgres::PostgresStore;
use roster_sqlite::SqliteStore;
use roster_test_postgres::{Cluster, ClusterOptions};

use crate::dataset::{Dataset, Dialect};
use crate::interrupt::Interrupt;
use crate::service::Program;

/// The number of customers that one statement inserts.
const AT_ONCE: u64 = 250_000;

/// The number of customers that one transaction adds to the index for searches.
const INDEXED_AT_ONCE: usize = 10_000;

/// The longest time of one such transaction.
const DEADLINE: Duration = Duration::from_mins(2);

/// A filled database.
pub struct Database {
    /// The kind of database.
    pub kind: Kind,
    /// The URL that the service connects to.
    pub url: String,
    /// Its customers and merchants.
    pub dataset: Dataset,
    /// A key for each merchant.
    pub keys: Vec<String>,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A PostgreSQL server.
    Postgres,
    /// A SQLite file.
    Sqlite,
}

impl Kind {
    /// Both, in the order of the report.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Sqlite];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// The size of a table or an index on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationSize {
    /// The name of the table or index.
    pub name: String,
    /// The size in bytes, with free pages.
    pub bytes: u64,
}

/// A PostgreSQL server with its own defaults.
pub struct Server(Cluster);

impl Server {
    /// Starts the server.
    pub fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::create(ClusterOptions { durable: true, tcp: false });
        Ok(Self(cluster.context("no PostgreSQL server is installed")?))
    }

    /// The process ids of the server and its children.
    pub fn processes(&self) -> Vec<u32> {
        self.0.processes()
    }

    /// The version of the server, and every setting that differs from the built-in default or affects durability.
    pub fn settings(&self) -> anyhow::Result<(String, Vec<String>)> {
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

    /// Creates a database of either kind with `dataset`. A SQLite file is created in `folder`.
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
        let mut inserted = 0;
        while inserted < dataset.customers {
            interrupt.check()?;
            let count = AT_ONCE.min(dataset.customers - inserted);
            session.execute(&dataset.customers_sql(kind.dialect(), inserted, count))?;
            inserted += count;
        }
        index_for_search(kind, &url, dataset, interrupt)?;
        session.finish_loading()?;
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
    /// A database of PostgreSQL with 20 customers of three merchants, of whom the first has ten, for tests.
    #[cfg(test)]
    pub fn small(cluster: &Cluster) -> (roster_postgres::PostgresStore, Self) {
        let dataset = Dataset { customers: 20, merchants: 3 };
        let url = cluster.create_database();
        let store = roster_postgres::PostgresStore::connect(&roster_postgres::Options {
            url: url.clone(),
            connections: 1,
            wait: Duration::from_secs(20),
            deadline: Duration::from_secs(30),
            search_index: true,
        });
        let store = store.expect("the options are usable");
        store.migrate().expect("the migrations apply");
        let mut session = Session::open(Kind::Postgres, &url).expect("a server");
        session.execute(&dataset.merchants_sql(Dialect::Postgres)).expect("merchants");
        session.execute(&dataset.customers_sql(Dialect::Postgres, 0, 20)).expect("customers");
        (store, Self { kind: Kind::Postgres, url, dataset, keys: Vec::new() })
    }

    /// The sizes of the table of customers and of each of its indexes.
    pub fn sizes(&self) -> anyhow::Result<Vec<RelationSize>> {
        Session::open(self.kind, &self.url)?.sizes()
    }
}

/// Adds all customers to the index for searches. The service would do it in the background, in small steps with rests, for so
/// long that it disturbs the measurements.
fn index_for_search(kind: Kind, url: &str, dataset: Dataset, interrupt: &Interrupt) -> anyhow::Result<()> {
    let store = open(kind, url)?;
    let live = |merchant| Tenant { merchant, environment: Environment::Live };
    let tenants: Vec<Tenant> = dataset.merchant_ids().map(live).collect();
    while store.direct(|uow| uow.customers().index_for_search(&tenants, INDEXED_AT_ONCE))? == INDEXED_AT_ONCE {
        interrupt.check()?;
    }
    Ok(())
}

fn open(kind: Kind, url: &str) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match kind {
        Kind::Postgres => Arc::new(PostgresStore::connect(&roster_postgres::Options {
            url: url.to_owned(),
            connections: 1,
            wait: DEADLINE,
            deadline: DEADLINE,
            search_index: true,
        })?),
        Kind::Sqlite => Arc::new(SqliteStore::open(&roster_sqlite::Options {
            path: PathBuf::from(url.strip_prefix("sqlite://").context("not the URL of a file")?),
            create: false,
            connections: 1,
            wait: DEADLINE,
            search_index: true,
        })?),
    })
}

/// A connection to a database of either kind.
enum Session {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Session {
    fn open(kind: Kind, url: &str) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Postgres => Self::Postgres(connect(url)?),
            Kind::Sqlite => {
                let path = url.strip_prefix("sqlite://").context("not the URL of a file")?;
                let mut connection = SqliteConnection::establish(path)?;
                // Only for filling: the service has its own settings.
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

    /// Does now what a database does sooner or later by itself. SQLite collects statistics only on request, and the
    /// service does not request it.
    fn finish_loading(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(_) => {
                // The rows without an index entry were replaced by rows with one: without FULL, the table has twice its size.
                self.execute("VACUUM (FULL, ANALYZE)")?;
                self.execute("CHECKPOINT")
            }
            Self::Sqlite(_) => self.execute("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)"),
        }
    }

    fn sizes(&mut self) -> anyhow::Result<Vec<RelationSize>> {
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
        let size = |line: &String| {
            let (name, bytes) = line.split_once(' ').ok_or_else(|| anyhow!("{line}"))?;
            Ok(RelationSize { name: name.to_owned(), bytes: bytes.parse()? })
        };
        lines.iter().map(size).collect()
    }
}

fn connect(url: &str) -> anyhow::Result<PgConnection> {
    PgConnection::establish(url).with_context(|| format!("no connection to {url}"))
}
