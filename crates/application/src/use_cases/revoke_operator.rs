use roster_domain::OperatorId;

use crate::ports::StoreError;
use crate::{Action, Operation, Operator, Roster, Target};

impl Roster {
    /// Revokes an operator: its key is refused from now on, by every process.
    ///
    /// Revoking it again changes nothing, and is not logged. `None` if there is no such operator.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn revoke_operator(&self, id: OperatorId, by: &Operation) -> Result<Option<Operator>, StoreError> {
        let now = self.clock.now();
        let entry = self.log_entry(by, Action::OperatorRevoked, Target::Operator(id));
        self.store.transaction(|uow| {
            let revoked = uow.operators().revoke(id, now)?;
            if revoked.as_ref().is_some_and(|revoked| revoked.is_new) {
                uow.operators().log(&entry)?;
            }
            Ok(revoked.map(|revoked| revoked.operator))
        })
    }
}
