use roster_domain::{ApiKeyId, Environment, MerchantId, Tenant};

use crate::ports::StoreError;
use crate::{ApiKey, Page, PageSize, Roster};

impl Roster {
    /// A page of the tenant's keys that follow `after`, oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_api_keys(
        &self,
        tenant: Tenant,
        after: Option<ApiKeyId>,
        size: PageSize,
    ) -> Result<Page<ApiKey>, StoreError> {
        let keys = self.store.direct(|uow| uow.api_keys().list(tenant, after, size.get() + 1))?;
        Ok(Page::cut(keys, size.get()))
    }

    /// A page of a merchant's keys in one environment, or in both, that follow `after`, oldest first, usable or not. `None` if there
    /// is no such merchant.
    ///
    /// For operators, never for callers.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_merchant_api_keys(
        &self,
        merchant: MerchantId,
        environment: Option<Environment>,
        after: Option<ApiKeyId>,
        size: PageSize,
    ) -> Result<Option<Page<ApiKey>>, StoreError> {
        let is_asked_for = |one: &Environment| environment.is_none_or(|asked| asked == *one);
        self.store.direct(|uow| {
            if uow.merchants().find(merchant)?.is_none() {
                return Ok(None);
            }
            let mut keys = Vec::new();
            for environment in Environment::ALL.into_iter().filter(is_asked_for) {
                keys.extend(uow.api_keys().list(Tenant { merchant, environment }, after, size.get() + 1)?);
            }
            keys.sort_by_key(|key| key.id);
            Ok(Some(Page::cut(keys, size.get())))
        })
    }
}
