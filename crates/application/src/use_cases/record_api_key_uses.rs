use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Writes when keys were used since it was last called: at most once a minute for each key, and never while a request
    /// waits. Called now and then. What cannot be written is noted again by a later use.
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
