use diesel::prelude::*;
use roster_application::ports::{
    ApiKeyRepository, CustomerRepository, MerchantRepository, StoreError, SubscriptionRepository, UnitOfWork, Verdict,
    Work,
};

use crate::error::Fault;
use crate::pool::{Pool, READ, Reader, in_transaction};
use crate::writer::Writer;

/// All repositories. After the first error every call fails.
pub struct SqliteUnitOfWork<'a> {
    access: Access<'a>,
    failure: Option<StoreError>,
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
    /// Runs `work` on `connection`, which is in a transaction, and returns its verdict.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn run_in_transaction(
        connection: &'a mut SqliteConnection,
        work: &mut Work<'_>,
    ) -> Result<Verdict, StoreError> {
        Self::run_over(Access::Transaction(connection), work)
    }

    /// Runs `work` without a transaction.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn run_direct(pool: &'a Pool, work: &mut Work<'_>) -> Result<(), StoreError> {
        Self::run_over(Access::Direct(Direct { pool, reader: None }), work).map(drop)
    }

    fn run_over(access: Access<'a>, work: &mut Work<'_>) -> Result<Verdict, StoreError> {
        let mut unit_of_work = Self { access, failure: None };
        let verdict = work(&mut unit_of_work);
        unit_of_work.failure.map_or(Ok(verdict), Err)
    }

    /// Runs one statement that reads.
    pub fn run<T>(
        &mut self,
        statement: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.unless_spent(|access| match access {
            Access::Transaction(connection) => Ok(statement(connection)?),
            Access::Direct(direct) => Ok(statement(direct.reader()?)?),
        })
    }

    /// Runs several statements that read, all of which see the same snapshot.
    pub fn run_together<T>(
        &mut self,
        statements: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.unless_spent(|access| match access {
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
        self.unless_spent(|access| match access {
            Access::Transaction(connection) => Ok(statements(connection)?),
            Access::Direct(direct) => direct.writer().run(|connection| Ok((Verdict::Commit, statements(connection)?))),
        })
    }

    fn unless_spent<T>(
        &mut self,
        call: impl FnOnce(&mut Access<'a>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.failure.is_some() {
            return Err(StoreError::spent());
        }
        let result = call(&mut self.access);
        self.failure = result.as_ref().err().cloned();
        result
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

impl UnitOfWork for SqliteUnitOfWork<'_> {
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }

    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository {
        self
    }

    fn merchants(&mut self) -> &mut dyn MerchantRepository {
        self
    }

    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self
    }
}
