use diesel::prelude::*;
use roster_application::ports::{MerchantRepository, StoreError};
use roster_domain::{Merchant, MerchantId, MerchantName};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::merchants;
use crate::unit_of_work::SqliteUnitOfWork;

impl MerchantRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run_write(|connection| {
            diesel::insert_into(merchants::table).values(MerchantRow::from(merchant)).execute(connection)?;
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
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = merchants)]
struct MerchantRow {
    id: Id,
    name: String,
    created_at: Time,
}

impl From<&Merchant> for MerchantRow {
    fn from(merchant: &Merchant) -> Self {
        Self {
            id: Id(merchant.id.uuid()),
            name: merchant.name.as_str().to_owned(),
            created_at: merchant.created_at.into(),
        }
    }
}

impl TryFrom<MerchantRow> for Merchant {
    type Error = StoreError;

    fn try_from(row: MerchantRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "merchants", column, id: row.id.0 };
        Ok(Self {
            id: MerchantId::new(row.id.0),
            name: MerchantName::parse(row.name).map_err(|_| corrupt("name"))?,
            created_at: row.created_at.try_into().map_err(|_| corrupt("created_at"))?,
        })
    }
}
