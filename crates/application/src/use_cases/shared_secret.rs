use crate::Roster;
use crate::ports::{EntropyError, StoreError};

/// Why there is no secret that all instances share.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// There is no randomness to make one from.
    #[error("no secret could be made")]
    Entropy(#[from] EntropyError),
    /// The store failed.
    #[error("a secret could not be read")]
    Store(#[from] StoreError),
}

impl Roster {
    /// The secret called `name`: made once, and kept in the store, so that all instances have the same.
    pub(crate) fn shared_secret(&self, name: &str) -> Result<[u8; 32], SecretError> {
        let mut candidate = [0; 32];
        self.entropy.fill(&mut candidate)?;
        Ok(self.store.direct(|uow| uow.secrets().get_or_insert(name, candidate))?)
    }
}
