use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use roster_application::ports::{MerchantRepository, StoreError};
use roster_application::records::MerchantRecord;
use roster_domain::{Merchant, MerchantId};
use uuid::Uuid;

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

    fn search(&mut self, text: &str, after: Option<MerchantId>, size: usize) -> Result<Vec<Merchant>, StoreError> {
        let text = text.to_ascii_lowercase();
        self.run(|connection| {
            // `lower` changes ASCII letters only, by the collation of the column.
            let has_text = sql::<Bool>("position(").bind::<Text, _>(text).sql(" in lower(merchants.name)) > 0");
            let page = merchants::table.filter(has_text).order(merchants::id).limit(limit(size));
            let found: Vec<MerchantRow> = match after {
                Some(after) => page.filter(merchants::id.gt(after.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Merchant::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn disabled(&mut self, ids: &[MerchantId]) -> Result<Vec<MerchantId>, StoreError> {
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        self.run(|connection| {
            let disabled =
                merchants::table.filter(merchants::id.eq_any(&wanted)).filter(merchants::disabled_at.is_not_null());
            let found: Vec<Uuid> = disabled.select(merchants::id).load(connection)?;
            Ok(found.into_iter().map(MerchantId::new).collect())
        })
    }

    fn lock(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.run(|connection| {
            let row = merchants::table.find(id.uuid()).for_no_key_update();
            let found: Option<MerchantRow> = row.get_result(connection).optional()?;
            Ok(found.map(Merchant::try_from).transpose()?)
        })
    }

    fn update(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run(|connection| {
            let row = MerchantRow::from(MerchantRecord::from(merchant));
            diesel::update(merchants::table.find(row.id))
                .set((merchants::name.eq(row.name), merchants::disabled_at.eq(row.disabled_at)))
                .execute(connection)?;
            Ok(())
        })
    }
}
