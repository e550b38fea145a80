use roster_domain::{Merchant, MerchantId, MerchantName};

use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Creates a merchant.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn create_merchant(&self, name: MerchantName) -> Result<Merchant, StoreError> {
        let now = self.clock.now();
        let merchant = Merchant { id: MerchantId::new(self.ids.next(now)), name, created_at: now };
        self.store.direct(|uow| uow.merchants().insert(&merchant))?;
        Ok(merchant)
    }
}
