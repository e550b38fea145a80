use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Writes the uses of keys since the last call, at most one a minute for each key.
    ///
    /// Called at intervals, so that no request waits for it. If the write fails, these uses are lost; a later use of
    /// the same key is written instead.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn record_api_key_uses(&self) -> Result<(), StoreError> {
        let uses = self.known.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        self.store.transaction(|uow| uow.api_keys().record_uses(&uses))
    }
}
