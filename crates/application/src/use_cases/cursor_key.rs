use crate::Roster;
use crate::cursor::CursorKey;
use crate::ports::{EntropyError, StoreError};

/// Why there is no key for cursors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CursorKeyError {
    /// There is no randomness to make one from.
    #[error("no key for cursors could be made")]
    Entropy(#[from] EntropyError),
    /// The store failed.
    #[error("the key for cursors could not be read")]
    Store(#[from] StoreError),
}

impl Roster {
    /// The key that authenticates cursors: made once, kept in the store, and read once by each instance.
    ///
    /// # Errors
    /// [`CursorKeyError`]
    pub fn cursor_key(&self) -> Result<CursorKey, CursorKeyError> {
        if let Some(key) = self.cursor_key.get() {
            return Ok(key.clone());
        }
        let mut candidate = [0; 32];
        self.entropy.fill(&mut candidate)?;
        let secret = self.store.direct(|uow| uow.secrets().get_or_insert("cursors", candidate))?;
        Ok(self.cursor_key.get_or_init(|| CursorKey::new(&secret)).clone())
    }
}
