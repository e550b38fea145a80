use diesel::prelude::*;
use roster_application::ports::{MerchantRepository, StoreError};
use roster_application::records::MerchantRecord;
use roster_domain::{Merchant, MerchantId};

use crate::error::Fault;
use crate::rows::limit;
use crate::schema::{MerchantRow, merchants};
use crate::unit_of_work::PostgresUnitOfWork;

impl MerchantRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::insert_into(merchants::table)
                .values(MerchantRow::from(MerchantRecord::from(merchant)))
                .execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.run(|connection| {
            let found: Option<MerchantRow> = merchants::table.find(id.uuid()).get_result(connection).optional()?;
            Ok(found.map(Merchant::try_from).transpose()?)
        })
    }

    fn list(&mut self, after: Option<MerchantId>, size: usize) -> Result<Vec<Merchant>, StoreError> {
        self.run(|connection| {
            let page = merchants::table.order(merchants::id).limit(limit(size));
            let found: Vec<MerchantRow> = match after {
                Some(after) => page.filter(merchants::id.gt(after.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Merchant::try_from(row).map_err(Fault::Store)).collect()
        })
    }
}
