use roster_domain::{Environment, MerchantId, Tenant};

use crate::Roster;
use crate::ports::StoreError;

/// Merchants of one step.
const MERCHANTS: usize = 100;

/// Replies that one step deletes at most.
const REPLIES: usize = 250;

/// How far the replies of all merchants were looked through. The default is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sweep(Option<MerchantId>);

impl Roster {
    /// Deletes replies that have expired, of 100 merchants behind `from` and at most 250: a step that holds up no other
    /// writer for long. Returns where to go on; `None` if all merchants were looked through.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sweep_replies(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let now = self.clock.now();
        let merchants = self.store.direct(|uow| uow.merchants().list(from.0, MERCHANTS))?;
        let tenants: Vec<Tenant> = merchants
            .iter()
            .flat_map(|merchant| Environment::ALL.map(|environment| Tenant { merchant: merchant.id, environment }))
            .collect();
        let expired = self.store.direct(|uow| uow.replies().expired(&tenants, now, REPLIES))?;
        if !expired.is_empty() {
            self.store.direct(|uow| uow.replies().delete_expired(&expired, now))?;
        }
        if expired.len() == REPLIES {
            return Ok(Some(from));
        }
        let last = merchants.last().filter(|_| merchants.len() == MERCHANTS);
        Ok(last.map(|last| Sweep(Some(last.id))))
    }
}
