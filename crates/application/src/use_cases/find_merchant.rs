use roster_domain::{Merchant, MerchantId};

use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// The merchant with this identifier.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_merchant(&self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.store.direct(|uow| uow.merchants().find(id))
    }
}
