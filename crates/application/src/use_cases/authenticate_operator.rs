use std::time::Instant;

use crate::ports::{StoreError, USE_INTERVAL};
use crate::{Digest, Operator, OperatorPrincipal, OperatorSecret, Roster};

/// What can be found out about an operator's credential without a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorRecognition {
    /// It is valid, and this is the operator.
    Operator(OperatorPrincipal),
    /// It may be valid; [`Roster::authenticate_operator`] must look it up.
    LookUp(Digest),
    /// It is not valid.
    Refused,
}

/// Why a credential is not that of an operator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperatorError {
    /// It is unknown, revoked or expired; which of these is kept from the caller.
    #[error("the credential is not valid")]
    Refused,
    /// The store failed.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Whether an operator was ever created, if that is known without asking the store.
    #[must_use]
    pub fn knows_of_operators(&self) -> Option<bool> {
        self.operators.exist()
    }

    /// Whether an operator was ever created. One that another process creates is seen within a second.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn has_operators(&self) -> Result<bool, StoreError> {
        if let Some(known) = self.operators.exist() {
            return Ok(known);
        }
        let asked_at = Instant::now();
        let exist = self.store.direct(|uow| Ok::<_, StoreError>(!uow.operators().list(None, 1)?.is_empty()))?;
        self.operators.note(exist, asked_at);
        Ok(exist)
    }

    /// Checks an operator's key without a look-up in the store.
    ///
    /// A mistyped key, and a credential of any other kind, is refused here. A key that was looked up a moment ago is accepted from
    /// the cache.
    #[must_use]
    pub fn recognise_operator(&self, credential: &str) -> OperatorRecognition {
        let Some(key) = OperatorSecret::parse(credential) else { return OperatorRecognition::Refused };
        let digest = key.digest();
        let known = self.operators.find(&digest, self.clock.now());
        known.map_or(OperatorRecognition::LookUp(digest), OperatorRecognition::Operator)
    }

    /// The operator of a key that cannot be looked up, if it was valid not too long ago (see [`Roster::with_key_lifetime`]).
    #[must_use]
    pub fn operator_in_grace(&self, digest: &Digest) -> Option<OperatorPrincipal> {
        self.operators.in_grace(digest, self.clock.now())
    }

    /// Looks up the operator whose key has this digest.
    ///
    /// # Errors
    /// [`OperatorError`]
    pub fn authenticate_operator(&self, digest: &Digest) -> Result<OperatorPrincipal, OperatorError> {
        let (now, looked_up) = (self.clock.now(), Instant::now());
        let found = self.store.direct(|uow| uow.operators().find(digest))?;
        let Some(operator) = found.filter(|operator| operator.is_usable(now)) else {
            self.operators.forget(digest);
            return Err(OperatorError::Refused);
        };
        if operator.last_used_at.is_none_or(|last| now.since(last) >= USE_INTERVAL) {
            // A database that takes no writes still lets operators look.
            let _ = self.store.direct(|uow| uow.operators().record_use(operator.id, now));
        }
        let Operator { id, name, role, expires_at, .. } = operator;
        let principal = OperatorPrincipal { id, name, role, expires_at };
        self.operators.insert(*digest, principal.clone(), looked_up);
        Ok(principal)
    }
}
