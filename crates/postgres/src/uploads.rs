//! The files that were sent to be imported.

use crate::citus::{self, Layout};
use crate::error::Fault;
use crate::rows::{Wanted, kept_prepared, limit};
use crate::schema::{
    UploadRow, insert_into_upload_parts, insert_into_uploads, upload_parts, upload_parts_of, uploads, uploads_of,
};
use crate::unit_of_work::PostgresUnitOfWork;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types;
use roster_application::ports::{StoreError, UploadRepository};
use roster_application::records::UploadRecord;
use roster_application::{PartKind, Upload};
use roster_domain::{Environment, MerchantId, Tenant, UploadId};
use uuid::Uuid;

impl UploadRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, upload: &Upload) -> Result<(), StoreError> {
        self.run(|connection| {
            insert_into_uploads().values(UploadRow::from(UploadRecord::from(upload))).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.run(|connection| {
            let by_id = uploads_of(tenant).filter(uploads::id.eq(id.uuid()));
            let found: Option<UploadRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(Upload::try_from).transpose()?)
        })
    }

    fn list(&mut self, tenant: Tenant, before: Option<UploadId>, size: usize) -> Result<Vec<Upload>, StoreError> {
        self.run(|connection| {
            let newest = uploads_of(tenant).order(uploads::id.desc()).limit(limit(size));
            let found: Vec<UploadRow> = match before {
                Some(before) => newest.filter(uploads::id.lt(before.uuid())).load(connection)?,
                None => newest.load(connection)?,
            };
            found.into_iter().map(|row| Upload::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn unended(&mut self, tenants: &[Tenant]) -> Result<Vec<(Tenant, UploadId)>, StoreError> {
        if self.layout() == Layout::Citus {
            return self.run(|connection| Ok(citus::reads::unended_uploads(connection, tenants)?));
        }
        let mut statement = FindUnended { wanted: Wanted::default() };
        tenants.iter().zip(1..).for_each(|(tenant, place)| statement.wanted.push(place, *tenant));
        let found: Vec<(Uuid, String, Uuid)> = self.run(|connection| Ok((&statement).load(connection)?))?;
        let key = |(merchant, environment, id): (Uuid, String, Uuid)| {
            let environment = Environment::parse(&environment);
            let environment =
                environment.map_err(|_| StoreError::Corrupt { table: "uploads", column: "environment", id })?;
            Ok((Tenant { merchant: MerchantId::new(merchant), environment }, UploadId::new(id)))
        };
        found.into_iter().map(key).collect()
    }

    fn lock(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.run(|connection| {
            let by_id = uploads_of(tenant).filter(uploads::id.eq(id.uuid()));
            let found: Option<UploadRow> = by_id.for_no_key_update().get_result(connection).optional()?;
            Ok(found.map(Upload::try_from).transpose()?)
        })
    }

    fn update(&mut self, upload: &Upload) -> Result<(), StoreError> {
        self.run(|connection| {
            let row = UploadRow::from(UploadRecord::from(upload));
            let about = (
                uploads::state.eq(row.state),
                uploads::import_id.eq(row.import_id),
                uploads::digest.eq(row.digest),
                uploads::size.eq(row.size),
                uploads::parts.eq(row.parts),
                uploads::error_parts.eq(row.error_parts),
                uploads::failure.eq(row.failure),
                uploads::fence.eq(row.fence),
            );
            let times = (
                uploads::lease_until.eq(row.lease_until),
                uploads::updated_at.eq(row.updated_at),
                uploads::ended_at.eq(row.ended_at),
            );
            let by_id = uploads_of(upload.tenant).filter(uploads::id.eq(upload.id.uuid()));
            diesel::update(by_id).set((about, times)).execute(connection)?;
            Ok(())
        })
    }

    fn delete(&mut self, tenant: Tenant, id: UploadId) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::delete(uploads_of(tenant).filter(uploads::id.eq(id.uuid()))).execute(connection)?;
            Ok(())
        })
    }

    fn forget_before(&mut self, tenant: Tenant, oldest: UploadId) -> Result<(), StoreError> {
        self.run(|connection| {
            let ended = uploads_of(tenant).filter(uploads::ended_at.is_not_null());
            diesel::delete(ended.filter(uploads::id.lt(oldest.uuid()))).execute(connection)?;
            Ok(())
        })
    }

    fn add_part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            let part = (
                upload_parts::merchant_id.eq(tenant.merchant.uuid()),
                upload_parts::environment.eq(tenant.environment.as_str()),
                upload_parts::upload_id.eq(id.uuid()),
                upload_parts::kind.eq(kind.as_str()),
                upload_parts::number.eq(i64::from(number)),
                upload_parts::bytes.eq(bytes),
            );
            insert_into_upload_parts().values(part).execute(connection)?;
            Ok(())
        })
    }

    fn part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(|connection| {
            let part = upload_parts_of(tenant, id, kind).filter(upload_parts::number.eq(i64::from(number)));
            Ok(part.select(upload_parts::bytes).get_result(connection).optional()?)
        })
    }

    fn delete_parts(&mut self, tenant: Tenant, id: UploadId, kind: PartKind) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::delete(upload_parts_of(tenant, id, kind)).execute(connection)?;
            Ok(())
        })
    }
}

/// The uploads of tenants that have not ended: at most one of each.
struct FindUnended {
    wanted: Wanted,
}

impl QueryFragment<Pg> for FindUnended {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT uploads.merchant_id, uploads.environment, uploads.id FROM unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(
            ") AS wanted (place, merchant_id, environment) INNER JOIN uploads \
             ON uploads.merchant_id = wanted.merchant_id AND uploads.environment = wanted.environment \
             WHERE uploads.ended_at IS NULL",
        );
        Ok(())
    }
}

kept_prepared!(FindUnended, (sql_types::Uuid, sql_types::Text, sql_types::Uuid));
