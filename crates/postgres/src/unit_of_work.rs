use diesel::pg::PgConnection;
use roster_application::ports::{
    ApiKeyRepository, CustomerRepository, MerchantRepository, StoreError, SubscriptionRepository, UnitOfWork,
    rerun_lost_races,
};

use crate::error::Fault;
use crate::pool::Session;

/// One connection, in a transaction or not, until the first error.
pub struct PostgresUnitOfWork<'a> {
    session: &'a mut Session,
    in_transaction: bool,
    failure: Option<StoreError>,
}

impl<'a> PostgresUnitOfWork<'a> {
    /// Over a transaction that `session` is in.
    pub fn in_transaction(session: &'a mut Session) -> Self {
        Self { session, in_transaction: true, failure: None }
    }

    /// Over no transaction.
    pub fn direct(session: &'a mut Session) -> Self {
        Self { session, in_transaction: false, failure: None }
    }

    /// Ends it.
    ///
    /// # Errors
    /// The first error that a call met.
    pub fn finish(self) -> Result<(), StoreError> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Runs `statements`, unless an earlier call has failed. PostgreSQL itself would go on outside a transaction.
    pub fn run<T>(&mut self, statements: impl FnOnce(&mut PgConnection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.check()?;
        let result = self.session.run(statements);
        self.remember(result)
    }

    /// Runs one statement that writes. One that lost a race has done nothing, so that outside a transaction it can run
    /// again by itself; in one, it has spoilt the transaction, which then runs again as a whole.
    pub fn run_write<T>(
        &mut self,
        mut statement: impl FnMut(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if self.in_transaction {
            return self.run(statement);
        }
        self.check()?;
        let mut value = None;
        let result = rerun_lost_races(|| {
            value = Some(self.session.run(&mut statement)?);
            Ok(())
        });
        let result = result.and_then(|()| value.ok_or_else(|| StoreError::internal("the statement was not run")));
        self.remember(result)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.failure.is_some() { Err(StoreError::spent()) } else { Ok(()) }
    }

    fn remember<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failure = Some(error.clone());
        }
        result
    }
}

impl UnitOfWork for PostgresUnitOfWork<'_> {
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
