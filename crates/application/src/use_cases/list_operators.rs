use roster_domain::OperatorId;

use crate::ports::StoreError;
use crate::{Operator, Page, PageSize, Roster};

impl Roster {
    /// A page of the operators that follow `after`, oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_operators(&self, after: Option<OperatorId>, size: PageSize) -> Result<Page<Operator>, StoreError> {
        let operators = self.store.direct(|uow| uow.operators().list(after, size.get() + 1))?;
        Ok(Page::cut(operators, size.get()))
    }
}
