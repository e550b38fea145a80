use roster_domain::ApiKeyId;

use crate::ports::StoreError;
use crate::{ApiKey, Roster};

impl Roster {
    /// Revokes a key: it opens nothing from now on. Revoking it again changes nothing. `None` if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn revoke_api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let now = self.clock.now();
        self.store.direct(|uow| uow.api_keys().revoke(id, now))
    }
}
