use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use roster_application::ports::{MerchantRepository, StoreError};
use roster_application::records::MerchantRecord;
use roster_domain::{Merchant, MerchantId};

use crate::error::Fault;
use crate::rows::{Id, limit};
use crate::schema::{MerchantRow, merchants};
use crate::unit_of_work::SqliteUnitOfWork;

impl MerchantRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run_write(|connection| {
            diesel::insert_into(merchants::table)
                .values(MerchantRow::from(MerchantRecord::from(merchant)))
                .execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.run(|connection| {
            let found: Option<MerchantRow> = merchants::table.find(Id(id.uuid())).get_result(connection).optional()?;
            Ok(found.map(Merchant::try_from).transpose()?)
        })
    }

    fn list(&mut self, after: Option<MerchantId>, size: usize) -> Result<Vec<Merchant>, StoreError> {
        self.run(|connection| {
            let page = merchants::table.order(merchants::id).limit(limit(size));
            let found: Vec<MerchantRow> = match after {
                Some(after) => page.filter(merchants::id.gt(Id(after.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Merchant::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn search(&mut self, text: &str, after: Option<MerchantId>, size: usize) -> Result<Vec<Merchant>, StoreError> {
        let text = text.to_ascii_lowercase();
        self.run(|connection| {
            // `lower` changes ASCII letters only.
            let has_text = sql::<Bool>("instr(lower(merchants.name), ").bind::<Text, _>(text).sql(") > 0");
            let page = merchants::table.filter(has_text).order(merchants::id).limit(limit(size));
            let found: Vec<MerchantRow> = match after {
                Some(after) => page.filter(merchants::id.gt(Id(after.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Merchant::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn disabled(&mut self, ids: &[MerchantId]) -> Result<Vec<MerchantId>, StoreError> {
        let disabled = self.run_each(ids, |connection, id| {
            let row = merchants::table.find(Id(id.uuid())).filter(merchants::disabled_at.is_not_null());
            let found: Option<Id> = row.select(merchants::id).get_result(connection).optional()?;
            Ok(found.map(|id| MerchantId::new(id.0)))
        })?;
        Ok(disabled.into_iter().flatten().collect())
    }

    // A transaction holds the write lock from its start, so a plain read is enough.
    fn lock(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.run(|connection| {
            let row = merchants::table.find(Id(id.uuid()));
            let found: Option<MerchantRow> = row.get_result(connection).optional()?;
            Ok(found.map(Merchant::try_from).transpose()?)
        })
    }

    fn update(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run_write(|connection| {
            let row = MerchantRow::from(MerchantRecord::from(merchant));
            diesel::update(merchants::table.find(row.id))
                .set((merchants::name.eq(row.name), merchants::disabled_at.eq(row.disabled_at)))
                .execute(connection)?;
            Ok(())
        })
    }
}
