use roster_domain::{Merchant, MerchantId, MerchantName};

use crate::ports::StoreError;
use crate::{Action, Operation, Roster, Target};

/// What an operator changes of a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MerchantChange {
    /// Its name.
    Rename(MerchantName),
    /// Its credentials are refused: in each process when its cached entries expire.
    Disable,
    /// Its credentials are accepted again.
    Enable,
}

impl Roster {
    /// Changes a merchant. Making a change again changes nothing, and is not logged. `None` if there is no such merchant.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn change_merchant(
        &self,
        id: MerchantId,
        change: &MerchantChange,
        by: &Operation,
    ) -> Result<Option<Merchant>, StoreError> {
        let now = self.clock.now();
        let entry = self.log_entry(by, change.action(), Target::Merchant(id));
        self.store.transaction(|uow| {
            let Some(merchant) = uow.merchants().lock(id)? else { return Ok(None) };
            let changed = match change {
                MerchantChange::Rename(name) => Merchant { name: name.clone(), ..merchant.clone() },
                MerchantChange::Disable => {
                    Merchant { disabled_at: merchant.disabled_at.or(Some(now)), ..merchant.clone() }
                }
                MerchantChange::Enable => Merchant { disabled_at: None, ..merchant.clone() },
            };
            if changed != merchant {
                uow.merchants().update(&changed)?;
                uow.operators().log(&entry)?;
            }
            Ok(Some(changed))
        })
    }
}

impl MerchantChange {
    fn action(&self) -> Action {
        match self {
            Self::Rename(_) => Action::MerchantRenamed,
            Self::Disable => Action::MerchantDisabled,
            Self::Enable => Action::MerchantEnabled,
        }
    }
}
