use roster_domain::{Merchant, MerchantId, MerchantName};

use crate::ports::StoreError;
use crate::{Action, Operation, Roster, Target};

impl Roster {
    /// Creates a merchant.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn create_merchant(&self, name: MerchantName, by: &Operation) -> Result<Merchant, StoreError> {
        let now = self.clock.now();
        let merchant = Merchant { id: MerchantId::new(self.ids.next(now)), name, created_at: now, disabled_at: None };
        let entry = self.log_entry(by, Action::MerchantCreated, Target::Merchant(merchant.id));
        self.store.transaction(|uow| {
            uow.merchants().insert(&merchant)?;
            uow.operators().log(&entry)
        })?;
        Ok(merchant)
    }
}
