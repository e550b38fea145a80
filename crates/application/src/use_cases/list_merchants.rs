use roster_domain::{Merchant, MerchantId};

use crate::ports::StoreError;
use crate::{Page, PageSize, Roster};

impl Roster {
    /// A page of the merchants that follow `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_merchants(&self, after: Option<MerchantId>, size: PageSize) -> Result<Page<Merchant>, StoreError> {
        let merchants = self.store.direct(|uow| uow.merchants().list(after, size.get() + 1))?;
        Ok(Page::cut(merchants, size.get()))
    }

    /// The same of those that have `text` in their names. ASCII letters are compared in any case.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn search_merchants(
        &self,
        text: &str,
        after: Option<MerchantId>,
        size: PageSize,
    ) -> Result<Page<Merchant>, StoreError> {
        let merchants = self.store.direct(|uow| uow.merchants().search(text, after, size.get() + 1))?;
        Ok(Page::cut(merchants, size.get()))
    }
}
