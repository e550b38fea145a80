//! The merchants.

use std::ops::Bound;

use roster_application::ports::{MerchantRepository, StoreError};
use roster_domain::{Merchant, MerchantId};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl MerchantRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.call(|rows| {
            if rows.merchants.contains_key(&merchant.id) {
                return Err(StoreError::Duplicate { index: "merchants (id)".to_owned() });
            }
            rows.merchants.insert(merchant.id, merchant.clone());
            Ok(())
        })
    }

    fn find(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.call(|rows| Ok(rows.merchants.get(&id).cloned()))
    }

    fn list(&mut self, after: Option<MerchantId>, limit: usize) -> Result<Vec<Merchant>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            Ok(rows.merchants.range((start, Bound::Unbounded)).take(limit).map(|(_, m)| m.clone()).collect())
        })
    }
}

impl Rows {
    /// Fails like a foreign key if the merchant does not exist.
    pub(crate) fn require_merchant(&self, id: MerchantId) -> Result<(), StoreError> {
        if self.merchants.contains_key(&id) { Ok(()) } else { Err(StoreError::internal("a row of no merchant")) }
    }
}
