use roster_domain::{Environment, MerchantId, Tenant};

use crate::Roster;
use crate::ports::StoreError;

/// Merchants of one step.
const MERCHANTS: usize = 100;

/// How far a background job has looked through the data of all merchants. The default is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sweep(Option<MerchantId>);

impl Roster {
    /// One step of a background job: `work` does at most `most` things for the tenants of 100 merchants behind `from`, and says
    /// how many. Returns where to go on; `None` if all merchants were looked through.
    pub(super) fn sweep(
        &self,
        from: Sweep,
        most: usize,
        work: impl FnOnce(&[Tenant]) -> Result<usize, StoreError>,
    ) -> Result<Option<Sweep>, StoreError> {
        let merchants = self.store.direct(|uow| uow.merchants().list(from.0, MERCHANTS))?;
        let tenants: Vec<Tenant> = merchants
            .iter()
            .flat_map(|merchant| Environment::ALL.map(|environment| Tenant { merchant: merchant.id, environment }))
            .collect();
        if work(&tenants)? == most {
            return Ok(Some(from));
        }
        let last = merchants.last().filter(|_| merchants.len() == MERCHANTS);
        Ok(last.map(|last| Sweep(Some(last.id))))
    }
}
