//! One unit of work over all repositories.

use std::sync::Mutex;

use roster_application::ports::{FirstError, StoreError, Verdict, Work};

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
    first_error: FirstError,
}

impl<'a> MemoryUnitOfWork<'a> {
    /// Runs `work`, and returns its verdict if no call failed.
    pub(crate) fn run(access: Access<'a>, work: &mut Work<'_>) -> Result<Verdict, StoreError> {
        let mut uow = Self { access, first_error: FirstError::default() };
        let verdict = work(&mut uow);
        uow.first_error.into_result().map(|()| verdict)
    }

    /// Runs one call of a repository. After the first error every call fails.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.first_error.guard(|| match &mut self.access {
            Access::Draft(rows) => call(rows),
            Access::Each(rows) => call(&mut lock(rows)),
        })
    }
}
