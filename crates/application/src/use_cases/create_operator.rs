use roster_domain::{Name, OperatorId, Timestamp};

use crate::ports::{EntropyError, StoreError};
use crate::{Action, Operation, Operator, OperatorSecret, Role, Roster, Target};

/// An operator to create.
#[derive(Debug, Clone)]
pub struct OperatorOrder {
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// From this time on its key is refused. Default: never.
    pub expires_at: Option<Timestamp>,
}

/// A created operator with its key, which is stored nowhere.
#[derive(Debug, Clone)]
pub struct CreatedOperator {
    /// The operator as it is stored.
    pub operator: Operator,
    /// Its key in the clear.
    pub secret: OperatorSecret,
}

/// Why an operator was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateOperatorError {
    /// Its key would have expired already.
    #[error("its key would have expired already")]
    Expired,
    /// The system has no random bytes.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// The store failed.
    #[error("the operator could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates an operator. Its key is returned here and stored nowhere.
    ///
    /// # Errors
    /// [`CreateOperatorError`]
    pub fn create_operator(
        &self,
        order: OperatorOrder,
        by: &Operation,
    ) -> Result<CreatedOperator, CreateOperatorError> {
        let OperatorOrder { name, role, expires_at } = order;
        let now = self.clock.now();
        let secret = OperatorSecret::generate(self.entropy.as_ref()).map_err(CreateOperatorError::Entropy)?;
        let operator = Operator {
            id: OperatorId::new(self.ids.next(now)),
            name,
            role,
            digest: secret.digest(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        if !operator.is_usable(now) {
            return Err(CreateOperatorError::Expired);
        }
        let entry = self.log_entry(by, Action::OperatorCreated, Target::Operator(operator.id));
        self.store.transaction(|uow| {
            uow.operators().insert(&operator)?;
            uow.operators().log(&entry)
        })?;
        Ok(CreatedOperator { operator, secret })
    }
}
