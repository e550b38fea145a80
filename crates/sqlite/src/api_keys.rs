use diesel::dsl::exists;
use diesel::prelude::*;
use roster_application::ports::{ApiKeyRecord, ApiKeyRepository, ApiKeyUse, StoreError, api_key_tenant};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Tenant};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{api_key_by_digest, api_keys, api_keys_of, insert_into_api_keys, tenant_of_api_key};
use crate::unit_of_work::SqliteUnitOfWork;

impl ApiKeyRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run_write(|connection| {
            refuse_known(connection, key)?;
            insert_into_api_keys().values(ApiKeyRow::from(key)).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.run_each(digests, |connection, digest| {
            let by_digest = api_key_by_digest(digest);
            let found: Option<ApiKeyRow> = by_digest.get_result(connection).optional()?;
            Ok(found.map(ApiKey::try_from).transpose()?)
        })
    }

    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
        self.run(|connection| {
            let found: Option<(Id, String)> = tenant_of_api_key(id).get_result(connection).optional()?;
            let tenant = found.map(|(merchant, environment)| api_key_tenant(id.uuid(), merchant.0, &environment));
            Ok(tenant.transpose()?)
        })
    }

    fn list(&mut self, tenant: Tenant, after: Option<ApiKeyId>, size: usize) -> Result<Vec<ApiKey>, StoreError> {
        self.run(|connection| {
            let page = api_keys_of(tenant).order(api_keys::id).limit(limit(size));
            let found: Vec<ApiKeyRow> = match after {
                Some(after) => page.filter(api_keys::id.gt(Id(after.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| ApiKey::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    // A transaction has the write lock from its beginning on, so that finding is locking.
    fn lock(&mut self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.run(|connection| {
            let by_id = api_keys_of(tenant).filter(api_keys::id.eq(Id(id.uuid())));
            let found: Option<ApiKeyRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(ApiKey::try_from).transpose()?)
        })
    }

    fn update(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run_write(|connection| {
            diesel::update(api_keys_of(key.tenant).filter(api_keys::id.eq(Id(key.id.uuid()))))
                .set((
                    api_keys::expires_at.eq(key.expires_at.map(Time::from)),
                    api_keys::revoked_at.eq(key.revoked_at.map(Time::from)),
                ))
                .execute(connection)?;
            Ok(())
        })
    }

    fn record_uses(&mut self, uses: &[ApiKeyUse]) -> Result<(), StoreError> {
        self.run_write(|connection| {
            for key_use in uses {
                let covered = Time::from(key_use.covered_after());
                let is_due = api_keys::last_used_at.is_null().or(api_keys::last_used_at.le(covered));
                diesel::update(
                    api_keys_of(key_use.tenant).filter(api_keys::id.eq(Id(key_use.id.uuid()))).filter(is_due),
                )
                .set(api_keys::last_used_at.eq(Time::from(key_use.at)))
                .execute(connection)?;
            }
            Ok(())
        })
    }
}

/// The unique indexes say this of the keys of one merchant; that two merchants never share one rests on how
/// identifiers and secrets are made, and this look at it costs nothing that matters.
fn refuse_known(connection: &mut SqliteConnection, key: &ApiKey) -> Result<(), Fault> {
    let has_digest = exists(api_key_by_digest(&key.digest));
    let is_known: bool = diesel::select(exists(tenant_of_api_key(key.id)).or(has_digest)).get_result(connection)?;
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
    scopes: String,
    digest: Vec<u8>,
    created_at: Time,
    expires_at: Option<Time>,
    last_used_at: Option<Time>,
    revoked_at: Option<Time>,
}

impl From<&ApiKey> for ApiKeyRow {
    fn from(key: &ApiKey) -> Self {
        Self {
            merchant_id: Id(key.tenant.merchant.uuid()),
            id: Id(key.id.uuid()),
            environment: key.tenant.environment.as_str().to_owned(),
            name: key.name.as_ref().map(|name| name.as_str().to_owned()),
            scopes: key.scopes.to_string(),
            digest: key.digest.0.to_vec(),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Time::from),
            last_used_at: key.last_used_at.map(Time::from),
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
            scopes: row.scopes,
            digest: row.digest,
            created_at: row.created_at.as_millis(),
            expires_at: row.expires_at.map(Time::as_millis),
            last_used_at: row.last_used_at.map(Time::as_millis),
            revoked_at: row.revoked_at.map(Time::as_millis),
        })
    }
}
