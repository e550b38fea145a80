use diesel::prelude::*;
use roster_application::ports::{ApiKeyRecord, ApiKeyRepository, StoreError};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::api_keys;
use crate::unit_of_work::SqliteUnitOfWork;

impl ApiKeyRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run_write(|connection| {
            refuse_known(connection, key)?;
            diesel::insert_into(api_keys::table).values(ApiKeyRow::from(key)).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.run_each(digests, |connection, digest| {
            let by_digest = api_keys::table.filter(api_keys::digest.eq(digest.0.as_slice()));
            let found: Option<ApiKeyRow> = by_digest.get_result(connection).optional()?;
            Ok(found.map(ApiKey::try_from).transpose()?)
        })
    }

    fn list(&mut self, merchant: MerchantId, after: Option<ApiKeyId>, size: usize) -> Result<Vec<ApiKey>, StoreError> {
        self.run(|connection| {
            let of_merchant = api_keys::table.filter(api_keys::merchant_id.eq(Id(merchant.uuid())));
            let page = of_merchant.order(api_keys::id).limit(limit(size));
            let found: Vec<ApiKeyRow> = match after {
                Some(after) => page.filter(api_keys::id.gt(Id(after.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| ApiKey::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn revoke(&mut self, id: ApiKeyId, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        self.run_write(|connection| {
            let by_id = api_keys::table.filter(api_keys::id.eq(Id(id.uuid())));
            let usable = by_id.filter(api_keys::revoked_at.is_null());
            diesel::update(usable).set(api_keys::revoked_at.eq(Time::from(now))).execute(connection)?;
            let found: Option<ApiKeyRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(ApiKey::try_from).transpose()?)
        })
    }
}

/// The unique indexes say this of the keys of one merchant; that two merchants never share one rests on how
/// identifiers and secrets are made, and this look at it costs nothing that matters.
fn refuse_known(connection: &mut SqliteConnection, key: &ApiKey) -> Result<(), Fault> {
    let known =
        api_keys::table.filter(api_keys::id.eq(Id(key.id.uuid())).or(api_keys::digest.eq(key.digest.0.as_slice())));
    let is_known: bool = diesel::select(diesel::dsl::exists(known)).get_result(connection)?;
    if is_known {
        return Err(StoreError::Duplicate { index: "api_keys (id), (digest)".to_owned() }.into());
    }
    Ok(())
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = api_keys)]
struct ApiKeyRow {
    merchant_id: Id,
    id: Id,
    environment: String,
    name: Option<String>,
    digest: Vec<u8>,
    created_at: Time,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
}

impl From<&ApiKey> for ApiKeyRow {
    fn from(key: &ApiKey) -> Self {
        Self {
            merchant_id: Id(key.tenant.merchant.uuid()),
            id: Id(key.id.uuid()),
            environment: key.tenant.environment.as_str().to_owned(),
            name: key.name.as_ref().map(|name| name.as_str().to_owned()),
            digest: key.digest.0.to_vec(),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Time::from),
            revoked_at: key.revoked_at.map(Time::from),
        }
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        Self::try_from(ApiKeyRecord {
            merchant_id: row.merchant_id.0,
            id: row.id.0,
            environment: row.environment,
            name: row.name,
            digest: row.digest,
            created_at: row.created_at.as_millis(),
            expires_at: row.expires_at.map(Time::as_millis),
            revoked_at: row.revoked_at.map(Time::as_millis),
        })
    }
}
