use diesel::dsl::exists;
use diesel::prelude::*;
use roster_application::ports::{ApiKeyRepository, ApiKeyUse, StoreError};
use roster_application::records::{ApiKeyRecord, tenant_of};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Tenant};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{ApiKeyRow, api_key_by_digest, api_keys, api_keys_of, insert_into_api_keys, tenant_of_api_key};
use crate::unit_of_work::SqliteUnitOfWork;

impl ApiKeyRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run_write(|connection| {
            refuse_known(connection, key)?;
            insert_into_api_keys().values(ApiKeyRow::from(ApiKeyRecord::from(key))).execute(connection)?;
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
            let tenant = found.map(|(merchant, environment)| tenant_of(id.uuid(), merchant.0, &environment));
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

    // A transaction holds the write lock from its start, so a plain read is enough.
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
                    api_keys::successor_id.eq(key.successor.map(|successor| Id(successor.uuid()))),
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

/// Refuses a key whose identifier or digest another key has, of any merchant.
///
/// The unique indexes begin with the merchant, so they find duplicates among the keys of one merchant only. Two
/// merchants share no identifier or digest because these are made from random bits; this check is cheap and finds a
/// defect there.
fn refuse_known(connection: &mut SqliteConnection, key: &ApiKey) -> Result<(), Fault> {
    let has_digest = exists(api_key_by_digest(&key.digest));
    let is_known: bool = diesel::select(exists(tenant_of_api_key(key.id)).or(has_digest)).get_result(connection)?;
    if is_known {
        return Err(StoreError::Duplicate { index: "api_keys (id), (digest)".to_owned() }.into());
    }
    Ok(())
}
