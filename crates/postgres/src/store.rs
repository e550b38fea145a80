use std::fmt;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use roster_application::ports::{
    Fact, MAX_SNAPSHOT_AGE, Position, Store, StoreError, Usage, Verdict, Work, rerun_lost_races,
};

use crate::citus::{self, Layout};
use crate::conninfo::Conninfo;
use crate::error::{Fault, store_error};
use crate::inspection;
use crate::migrations;
use crate::pool::Pool;
use crate::pooler;
use crate::search_index;
use crate::session::{Connector, IS_READ_ONLY};
use crate::unit_of_work::PostgresUnitOfWork;

/// How to reach a database.
#[derive(Clone)]
pub struct Options {
    /// A connection string of libpq: `postgresql://user:password@host:port/database`, or `key=value` pairs.
    pub url: String,
    /// The most connections that are open at a time, at least one.
    pub connections: u32,
    /// How long to wait for a connection, both for a free one and for a new one to open. More than zero.
    pub wait: Duration,
    /// How long a unit of work may take; every timeout in the database follows from it. A connection that is in use for
    /// longer is given up, and replaced. More than zero.
    pub deadline: Duration,
    /// Whether writes keep the index for searches up to date. Without it, searches walk the list.
    pub search_index: bool,
}

impl fmt::Debug for Options {
    /// Leaves out the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .field("deadline", &self.deadline)
            .field("search_index", &self.search_index)
            .finish_non_exhaustive()
    }
}

/// The most snapshots at a time.
const MAX_SNAPSHOTS: u32 = 8;

/// A PostgreSQL database.
pub struct PostgresStore {
    pub(crate) pool: Pool,
    /// One connection more, so that the check of the database never waits behind requests.
    check: Pool,
    /// One connection more, so that a position never waits behind requests.
    positions: Pool,
    /// Some connections more, each of which may be in use for as long as a snapshot may be kept.
    snapshots: Pool,
    /// Opens connections outside the pool, for migrations.
    connector: Connector,
    search_index: bool,
}

impl PostgresStore {
    /// Makes the store. It opens no connection: the first call that needs one finds out whether the database is there.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if an option is unusable. The source names the option and does not repeat the URL.
    pub fn connect(options: &Options) -> Result<Self, StoreError> {
        let conninfo = Conninfo::parse(&options.url, options.wait).map_err(StoreError::internal)?;
        let connector = || Connector::new(conninfo.clone(), options.deadline);
        let requests = connector();
        // After a failover, a position must be of the server that was written to.
        let positions = Pool::new(requests.sibling(), 1, options.wait)?;
        let pool = Pool::new(requests, options.connections, options.wait)?;
        let check = Pool::new(connector(), 1, options.wait)?;
        let snapshots = Pool::lending_for(MAX_SNAPSHOT_AGE, connector(), MAX_SNAPSHOTS, options.wait)?;
        let search_index = options.search_index;
        Ok(Self { pool, check, positions, snapshots, connector: connector(), search_index })
    }

    fn try_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut session = self.pool.get()?;
        session.run(|connection| Ok(AnsiTransactionManager::begin_transaction(connection)?))?;
        let mut unit_of_work = PostgresUnitOfWork::in_transaction(&mut session).with_search_index(self.search_index);
        let verdict = work(&mut unit_of_work);
        let outcome = unit_of_work.finish(verdict);
        if outcome.is_ok() && verdict == Verdict::Commit {
            return session.run(|connection| Ok(AnsiTransactionManager::commit_transaction(connection)?));
        }
        // If the rollback fails, the connection is lost, and the server undoes the transaction.
        let _ = session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?));
        outcome
    }
}

impl Store for PostgresStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        rerun_lost_races(|| self.try_transaction(work))
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut session = self.pool.get()?;
        let mut unit_of_work = PostgresUnitOfWork::direct(&mut session).with_search_index(self.search_index);
        let verdict = work(&mut unit_of_work);
        unit_of_work.finish(verdict)
    }

    fn run_snapshot(&self, age: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut session = self.snapshots.get()?;
        session.run(|connection| {
            let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
            AnsiTransactionManager::begin_transaction_sql(connection, begin)?;
            // The reader of the rows may be slower than this program, which sends no statement meanwhile.
            let age = age.min(MAX_SNAPSHOT_AGE).as_millis();
            Ok(connection.batch_execute(&format!("SET LOCAL idle_in_transaction_session_timeout = {age}"))?)
        })?;
        // Calls are those of work without a transaction: in one, what is found would be locked, which writes.
        let mut unit_of_work = PostgresUnitOfWork::direct(&mut session).with_search_index(self.search_index);
        let verdict = work(&mut unit_of_work);
        let outcome = unit_of_work.finish(verdict);
        // If it fails, the connection is lost, and the server ends the transaction.
        let _ = session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?));
        outcome
    }

    fn flush_search_index(&self) -> Result<bool, StoreError> {
        if !self.search_index {
            return Ok(false);
        }
        self.pool.get()?.run(|connection| Ok(search_index::flush(connection)?))
    }

    fn ping(&self) -> Result<(), StoreError> {
        let is_read_only = sql::<Bool>(IS_READ_ONLY);
        let is_read_only =
            self.check.get()?.run(|connection| Ok(diesel::select(is_read_only).get_result(connection)?))?;
        if is_read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Ok(Some(self.positions.get()?.place()?.position))
    }

    fn inspect(&self, visit: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        // Outside the pool, whose connections have a deadline. The end of the connection ends the transaction.
        let mut connection = self.connector.connect().map_err(StoreError::unavailable)?;
        connection.batch_execute(inspection::BEGIN).map_err(|error| store_error(&error))?;
        inspection::inspect(&mut connection, visit).map_err(|fault| match fault {
            Fault::Query(error) => store_error(&error),
            Fault::Store(error) => error,
        })
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        pooler::check(&self.connector)
    }

    fn usage(&self) -> Usage {
        Usage { connections: Some(self.pool.usage()), wal: None }
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        migrations::migrate(&self.connector)
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        let mut connection = self.connector.connect().map_err(StoreError::unavailable)?;
        Ok(Layout::read(&mut connection).map_err(|error| store_error(&error))? == Layout::Citus)
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        citus::distribute(&mut self.connector.connect().map_err(StoreError::unavailable)?)
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        migrations::pending(&mut self.connector.connect().map_err(StoreError::unavailable)?)
    }
}
