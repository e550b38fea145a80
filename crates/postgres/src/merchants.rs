use chrono::{DateTime, Utc};
use diesel::prelude::*;
use roster_application::ports::{MerchantRepository, StoreError};
use roster_domain::{Merchant, MerchantId, MerchantName, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::limit;
use crate::schema::merchants;
use crate::unit_of_work::PostgresUnitOfWork;

impl MerchantRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::insert_into(merchants::table).values(MerchantRow::from(merchant)).execute(connection)?;
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

#[derive(Queryable, Insertable)]
#[diesel(table_name = merchants)]
struct MerchantRow {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<&Merchant> for MerchantRow {
    fn from(merchant: &Merchant) -> Self {
        Self {
            id: merchant.id.uuid(),
            name: merchant.name.as_str().to_owned(),
            created_at: merchant.created_at.to_utc(),
        }
    }
}

impl TryFrom<MerchantRow> for Merchant {
    type Error = StoreError;

    fn try_from(row: MerchantRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "merchants", column, id: row.id };
        Ok(Self {
            id: MerchantId::new(row.id),
            name: MerchantName::parse(row.name).map_err(|_| corrupt("name"))?,
            created_at: Timestamp::from_millis(row.created_at.timestamp_millis()).map_err(|_| corrupt("created_at"))?,
        })
    }
}
