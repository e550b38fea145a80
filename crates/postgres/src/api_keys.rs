use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary};
use roster_application::ports::{ApiKeyRecord, ApiKeyRepository, ApiKeyUse, StoreError, api_key_tenant};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Tenant, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::{in_order, limit};
use crate::schema::{api_key_by_digest, api_keys, api_keys_of, insert_into_api_keys, tenant_of_api_key};
use crate::unit_of_work::PostgresUnitOfWork;

impl ApiKeyRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run(|connection| {
            refuse_known(connection, key)?;
            insert_into_api_keys().values(ApiKeyRow::from(key)).execute(connection)?;
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
                let found: Vec<(i64, ApiKeyRow)> = FindByDigest { digests }.load(connection)?;
                Ok(in_order(many.len(), found)?)
            }
        })
    }

    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
        self.run(|connection| {
            let found: Option<(Uuid, String)> = tenant_of_api_key(id).get_result(connection).optional()?;
            let tenant = found.map(|(merchant, environment)| api_key_tenant(id.uuid(), merchant, &environment));
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
        // An empty list is checked, too: what is spent stays spent.
        self.run(|_| Ok(()))
    }
}

/// The unique indexes say this of the keys of one merchant; that two merchants never share one rests on how
/// identifiers and secrets are made, and this look at it costs nothing that matters.
fn refuse_known(connection: &mut PgConnection, key: &ApiKey) -> Result<(), Fault> {
    let has_digest = exists(api_key_by_digest(&key.digest));
    let is_known: bool = diesel::select(exists(tenant_of_api_key(key.id)).or(has_digest)).get_result(connection)?;
    if is_known {
        return Err(StoreError::Duplicate { index: "api_keys (id), (digest)".to_owned() }.into());
    }
    Ok(())
}

/// The keys with some digests, each with the place of its digest, from 1.
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

impl QueryId for FindByDigest {
    type QueryId = Self;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for FindByDigest {
    type SqlType = (BigInt, api_keys::SqlType);
}

impl RunQueryDsl<PgConnection> for FindByDigest {}

#[derive(Queryable, Insertable)]
#[diesel(table_name = api_keys)]
struct ApiKeyRow {
    merchant_id: Uuid,
    id: Uuid,
    environment: String,
    name: Option<String>,
    scopes: String,
    digest: Vec<u8>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<&ApiKey> for ApiKeyRow {
    fn from(key: &ApiKey) -> Self {
        Self {
            merchant_id: key.tenant.merchant.uuid(),
            id: key.id.uuid(),
            environment: key.tenant.environment.as_str().to_owned(),
            name: key.name.as_ref().map(|name| name.as_str().to_owned()),
            scopes: key.scopes.to_string(),
            digest: key.digest.0.to_vec(),
            created_at: key.created_at.to_utc(),
            expires_at: key.expires_at.map(Timestamp::to_utc),
            last_used_at: key.last_used_at.map(Timestamp::to_utc),
            revoked_at: key.revoked_at.map(Timestamp::to_utc),
        }
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        Self::try_from(ApiKeyRecord {
            merchant_id: row.merchant_id,
            id: row.id,
            environment: row.environment,
            name: row.name,
            scopes: row.scopes,
            digest: row.digest,
            created_at: row.created_at.timestamp_millis(),
            expires_at: row.expires_at.map(|time| time.timestamp_millis()),
            last_used_at: row.last_used_at.map(|time| time.timestamp_millis()),
            revoked_at: row.revoked_at.map(|time| time.timestamp_millis()),
        })
    }
}
