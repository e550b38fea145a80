//! One unit of work over all repositories.

use std::sync::Mutex;

use roster_application::ports::{
    ApiKeyRepository, CustomerRepository, MerchantRepository, StoreError, SubscriptionRepository, UnitOfWork, Verdict,
    Work,
};

use crate::store::{Rows, lock};

/// How a unit of work reaches the rows.
pub(crate) enum Access<'a> {
    /// A copy of the rows, which the transaction stores at its commit or drops.
    Draft(&'a mut Rows),
    /// Each call locks the rows.
    Each(&'a Mutex<Rows>),
}

/// All repositories; each is implemented in the file with its name.
pub(crate) struct MemoryUnitOfWork<'a> {
    access: Access<'a>,
    failed: Option<StoreError>,
}

impl<'a> MemoryUnitOfWork<'a> {
    /// Runs `work`, and returns its verdict if no call failed.
    pub(crate) fn run(access: Access<'a>, work: &mut Work<'_>) -> Result<Verdict, StoreError> {
        let mut uow = Self { access, failed: None };
        let verdict = work(&mut uow);
        uow.failed.map_or(Ok(verdict), Err)
    }

    /// Runs one call of a repository. After the first error every call fails.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::spent());
        }
        let result = match &mut self.access {
            Access::Draft(rows) => call(rows),
            Access::Each(rows) => call(&mut lock(rows)),
        };
        self.failed = result.as_ref().err().cloned();
        result
    }
}

impl UnitOfWork for MemoryUnitOfWork<'_> {
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
