use diesel::pg::PgConnection;
use roster_application::ports::{
    ApiKeyRepository, CustomerRepository, MerchantRepository, StoreError, SubscriptionRepository, UnitOfWork,
    rerun_lost_races,
};

use crate::error::Fault;
use crate::pool::Session;

/// One connection, in a transaction or not. After the first error every call fails.
pub struct PostgresUnitOfWork<'a> {
    session: &'a mut Session,
    in_transaction: bool,
    failure: Option<StoreError>,
}

impl<'a> PostgresUnitOfWork<'a> {
    /// Uses `session`, which is in a transaction.
    pub fn in_transaction(session: &'a mut Session) -> Self {
        Self { session, in_transaction: true, failure: None }
    }

    /// Uses `session` without a transaction.
    pub fn direct(session: &'a mut Session) -> Self {
        Self { session, in_transaction: false, failure: None }
    }

    /// Whether the calls run in a transaction.
    pub fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Ends the unit of work.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn finish(self) -> Result<(), StoreError> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Runs `statements`, unless an earlier call has failed.
    ///
    /// The check is needed outside a transaction, where PostgreSQL would run further statements after an error.
    pub fn run<T>(&mut self, statements: impl FnOnce(&mut PgConnection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.check_usable()?;
        let result = self.session.run(statements);
        self.keep_failure(result)
    }

    /// Runs statements that together write all or nothing.
    ///
    /// After a lost race they have written nothing. Outside a transaction they run again here; inside one, the
    /// transaction has failed and its caller runs it again as a whole.
    pub fn run_write<T>(
        &mut self,
        mut statements: impl FnMut(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if self.in_transaction {
            return self.run(statements);
        }
        self.check_usable()?;
        let mut value = None;
        let result = rerun_lost_races(|| {
            value = Some(self.session.run(&mut statements)?);
            Ok(())
        });
        let result = result.and_then(|()| value.ok_or_else(|| StoreError::internal("the statements were not run")));
        self.keep_failure(result)
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.failure.is_some() { Err(StoreError::spent()) } else { Ok(()) }
    }

    fn keep_failure<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
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
