use roster_domain::Subscription;

use crate::ports::{CustomerKey, CustomerState, StoreError, SubscriptionCursor};
use crate::{Page, PageSize, Roster};

/// Why subscriptions were not listed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListSubscriptionsError {
    /// No live customer of the tenant has that identifier.
    #[error("there is no such customer")]
    NotFound,
    /// The store failed.
    #[error("the subscriptions could not be read")]
    Store(#[from] StoreError),
}

impl Roster {
    /// A page of the subscriptions of one live customer, in descending order of their start, beginning after `after`.
    ///
    /// # Errors
    /// [`ListSubscriptionsError`]
    pub fn list_subscriptions(
        &self,
        key: &CustomerKey,
        after: Option<&SubscriptionCursor>,
        size: PageSize,
    ) -> Result<Page<Subscription>, ListSubscriptionsError> {
        self.store.direct(|uow| {
            let found = uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?;
            let customer = found.into_iter().flatten().next().ok_or(ListSubscriptionsError::NotFound)?;
            let subscriptions = uow.subscriptions().list(key.tenant, customer.id(), after, size.get() + 1)?;
            Ok(Page::cut(subscriptions, size.get()))
        })
    }
}
