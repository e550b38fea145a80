use diesel::dsl::exists;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary};
use roster_application::ports::{ApiKeyRepository, ApiKeyUse, StoreError};
use roster_application::records::{ApiKeyRecord, tenant_of};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Tenant, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::{in_order, kept_prepared, limit};
use crate::schema::{ApiKeyRow, api_key_by_digest, api_keys, api_keys_of, insert_into_api_keys, tenant_of_api_key};
use crate::unit_of_work::PostgresUnitOfWork;

impl ApiKeyRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run(|connection| {
            refuse_known(connection, key)?;
            insert_into_api_keys().values(ApiKeyRow::from(ApiKeyRecord::from(key))).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.run(|connection| match digests {
            [] => Ok(Vec::new()),
            [digest] => {
                let by_digest = api_key_by_digest(digest);
                let found: Option<ApiKeyRow> = by_digest.get_result(connection).optional()?;
                Ok(vec![found.map(ApiKey::try_from).transpose()?])
            }
            many => {
                let digests = many.iter().map(|digest| digest.0.to_vec()).collect();
                let found: Vec<(i64, ApiKeyRow)> = (&FindByDigest { digests }).load(connection)?;
                Ok(in_order(many.len(), found, ApiKey::try_from)?)
            }
        })
    }

    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
        self.run(|connection| {
            let found: Option<(Uuid, String)> = tenant_of_api_key(id).get_result(connection).optional()?;
            let tenant = found.map(|(merchant, environment)| tenant_of(id.uuid(), merchant, &environment));
            Ok(tenant.transpose()?)
        })
    }

    fn list(&mut self, tenant: Tenant, after: Option<ApiKeyId>, size: usize) -> Result<Vec<ApiKey>, StoreError> {
        self.run(|connection| {
            let page = api_keys_of(tenant).order(api_keys::id).limit(limit(size));
            let found: Vec<ApiKeyRow> = match after {
                Some(after) => page.filter(api_keys::id.gt(after.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| ApiKey::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn lock(&mut self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.run(|connection| {
            let by_id = api_keys_of(tenant).filter(api_keys::id.eq(id.uuid()));
            let found: Option<ApiKeyRow> = by_id.for_no_key_update().get_result(connection).optional()?;
            Ok(found.map(ApiKey::try_from).transpose()?)
        })
    }

    fn update(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::update(api_keys_of(key.tenant).filter(api_keys::id.eq(key.id.uuid())))
                .set((
                    api_keys::expires_at.eq(key.expires_at.map(Timestamp::to_utc)),
                    api_keys::revoked_at.eq(key.revoked_at.map(Timestamp::to_utc)),
                    api_keys::successor_id.eq(key.successor.map(ApiKeyId::uuid)),
                ))
                .execute(connection)?;
            Ok(())
        })
    }

    fn record_uses(&mut self, uses: &[ApiKeyUse]) -> Result<(), StoreError> {
        for key_use in uses {
            self.run_write(|connection| {
                let covered = key_use.covered_after().to_utc();
                let is_due = api_keys::last_used_at.is_null().or(api_keys::last_used_at.le(covered));
                diesel::update(api_keys_of(key_use.tenant).filter(api_keys::id.eq(key_use.id.uuid())).filter(is_due))
                    .set(api_keys::last_used_at.eq(key_use.at.to_utc()))
                    .execute(connection)?;
                Ok(())
            })?;
        }
        // Runs the check even if the list is empty: a call on a spent unit of work must fail.
        self.run(|_| Ok(()))
    }
}

/// Refuses a key whose identifier or digest another key has, of any merchant.
///
/// The unique indexes begin with the merchant, so they find duplicates among the keys of one merchant only. Two
/// merchants share no identifier or digest because these are made from random bits; this check is cheap and finds a
/// defect there.
fn refuse_known(connection: &mut PgConnection, key: &ApiKey) -> Result<(), Fault> {
    let has_digest = exists(api_key_by_digest(&key.digest));
    let is_known: bool = diesel::select(exists(tenant_of_api_key(key.id)).or(has_digest)).get_result(connection)?;
    if is_known {
        return Err(StoreError::Duplicate { index: "api_keys (id), (digest)".to_owned() }.into());
    }
    Ok(())
}

/// Finds keys by their digests, each with the position of its digest in the list, from 1.
struct FindByDigest {
    digests: Vec<Vec<u8>>,
}

impl QueryFragment<Pg> for FindByDigest {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place, ");
        api_keys::all_columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.digests)?;
        out.push_sql(
            ") WITH ORDINALITY AS wanted (digest, place) CROSS JOIN LATERAL (\
             SELECT * FROM api_keys WHERE api_keys.digest = wanted.digest OFFSET 0) AS api_keys",
        );
        Ok(())
    }
}

kept_prepared!(FindByDigest, (BigInt, api_keys::SqlType));
