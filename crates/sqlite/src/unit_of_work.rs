use diesel::prelude::*;
use roster_application::ports::{FirstError, StoreError, Verdict, Work};

use crate::error::Fault;
use crate::pool::{Pool, READ, Reader, in_transaction};
use crate::writer::Writer;

/// All repositories. After the first error every call fails.
pub struct SqliteUnitOfWork<'a> {
    access: Access<'a>,
    has_search_index: bool,
    first_error: FirstError,
}

/// How a unit of work gets its connections.
pub enum Access<'a> {
    /// One connection, which is in a transaction.
    Transaction(&'a mut SqliteConnection),
    /// Each call takes the connection that it needs.
    Direct(Direct<'a>),
}

/// Connections for calls outside a transaction.
pub struct Direct<'a> {
    pool: &'a Pool,
    /// The connection of the last read, kept for the next.
    reader: Option<Reader>,
}

impl<'a> SqliteUnitOfWork<'a> {
    /// Runs `work` on `connection`, which is in a transaction, and returns its verdict; with or without the index for searches.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn run_in_transaction(
        connection: &'a mut SqliteConnection,
        has_search_index: bool,
        work: &mut Work<'_>,
    ) -> Result<Verdict, StoreError> {
        Self::run_over(Access::Transaction(connection), has_search_index, work)
    }

    /// Runs `work` without a transaction; with or without the index for searches.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn run_direct(pool: &'a Pool, has_search_index: bool, work: &mut Work<'_>) -> Result<(), StoreError> {
        Self::run_over(Access::Direct(Direct { pool, reader: None }), has_search_index, work).map(drop)
    }

    fn run_over(access: Access<'a>, has_search_index: bool, work: &mut Work<'_>) -> Result<Verdict, StoreError> {
        let mut unit_of_work = Self { access, has_search_index, first_error: FirstError::default() };
        let verdict = work(&mut unit_of_work);
        unit_of_work.first_error.into_result().map(|()| verdict)
    }

    /// Whether searches use their index, and writes keep it up to date.
    pub fn has_search_index(&self) -> bool {
        self.has_search_index
    }

    /// Runs one statement that reads.
    pub fn run<T>(
        &mut self,
        statement: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.first_error.guard(|| match &mut self.access {
            Access::Transaction(connection) => Ok(statement(connection)?),
            Access::Direct(direct) => Ok(statement(direct.reader()?)?),
        })
    }

    /// Runs several statements that read, all of which see the same snapshot.
    pub fn run_together<T>(
        &mut self,
        statements: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.first_error.guard(|| match &mut self.access {
            Access::Transaction(connection) => Ok(statements(connection)?),
            Access::Direct(direct) => in_transaction(READ, direct.reader()?, |connection| Ok(statements(connection)?)),
        })
    }

    /// Runs one statement that reads, once for each of `keys`.
    pub fn run_each<K, T>(
        &mut self,
        keys: &[K],
        mut statement: impl FnMut(&mut SqliteConnection, &K) -> Result<T, Fault>,
    ) -> Result<Vec<T>, StoreError> {
        match keys {
            [key] => self.run(|connection| Ok(vec![statement(connection, key)?])),
            many => self.run_together(|connection| many.iter().map(|key| statement(connection, key)).collect()),
        }
    }

    /// Runs statements that write, all of them or none.
    pub fn run_write<T>(
        &mut self,
        statements: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.first_error.guard(|| match &mut self.access {
            Access::Transaction(connection) => Ok(statements(connection)?),
            Access::Direct(direct) => direct.writer().run(|connection| Ok((Verdict::Commit, statements(connection)?))),
        })
    }
}

impl Direct<'_> {
    fn reader(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.pool.reader()?,
        };
        Ok(self.reader.insert(reader))
    }

    /// The connection that writes. The reader is returned first: a caller that waits to write must not block readers.
    fn writer(&mut self) -> &Writer {
        self.reader = None;
        self.pool.writer()
    }
}
