use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ports::{StoreError, USE_INTERVAL};
use crate::{Operator, OperatorSecret, Roster};

/// For how long it is not asked again whether there is an operator after there was none: a second.
const ABSENT: Duration = Duration::from_secs(1);

/// What is known of whether there are operators. Rows of operators are never deleted, so that it changes once.
#[derive(Debug, Default)]
pub(crate) struct KnownOperators {
    exist: AtomicBool,
    absent_at: Mutex<Option<Instant>>,
}

/// Why a credential is not that of an operator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperatorError {
    /// It is absent, of another kind, unknown, revoked or expired; which of these is kept from the caller.
    #[error("the credential is not valid")]
    Refused,
    /// The store failed.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Whether an operator was ever created. One that another process creates is seen within a second.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn has_operators(&self) -> Result<bool, StoreError> {
        let known = &self.operators;
        if known.exist.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let now = Instant::now();
        let absent_at = *known.absent_at.lock().unwrap_or_else(PoisonError::into_inner);
        if absent_at.is_some_and(|at| now.duration_since(at) < ABSENT) {
            return Ok(false);
        }
        let exist = self.store.direct(|uow| Ok::<_, StoreError>(!uow.operators().list(None, 1)?.is_empty()))?;
        known.exist.store(exist, Ordering::Relaxed);
        *known.absent_at.lock().unwrap_or_else(PoisonError::into_inner) = (!exist).then_some(now);
        Ok(exist)
    }

    /// The operator whose key `credential` is. Each call looks it up: a revocation holds at once.
    ///
    /// # Errors
    /// [`OperatorError`]
    pub fn authenticate_operator(&self, credential: &str) -> Result<Operator, OperatorError> {
        let digest = OperatorSecret::parse(credential).ok_or(OperatorError::Refused)?.digest();
        let now = self.clock.now();
        let found = self.store.direct(|uow| uow.operators().find(&digest))?;
        let operator = found.filter(|operator| operator.is_usable(now)).ok_or(OperatorError::Refused)?;
        if operator.last_used_at.is_none_or(|last| now.since(last) >= USE_INTERVAL) {
            // A database that takes no writes still lets operators look.
            let _ = self.store.direct(|uow| uow.operators().record_use(operator.id, now));
        }
        Ok(operator)
    }
}
