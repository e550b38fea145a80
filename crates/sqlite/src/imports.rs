//! The imports of files.

use diesel::prelude::*;
use roster_application::Import;
use roster_application::ports::{ImportRepository, StoreError};
use roster_application::records::ImportRecord;
use roster_domain::{ImportId, Tenant};

use crate::error::Fault;
use crate::rows::{Id, limit};
use crate::schema::{ImportRow, imports, imports_of, insert_into_imports};
use crate::unit_of_work::SqliteUnitOfWork;

impl ImportRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, import: &Import) -> Result<(), StoreError> {
        self.run_write(|connection| {
            insert_into_imports().values(ImportRow::from(ImportRecord::from(import))).execute(connection)?;
            Ok(())
        })
    }

    fn list(&mut self, tenant: Tenant, size: usize) -> Result<Vec<Import>, StoreError> {
        self.run(|connection| {
            let newest = imports_of(tenant).order(imports::id.desc()).limit(limit(size));
            let found: Vec<ImportRow> = newest.load(connection)?;
            found.into_iter().map(|row| Import::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    // A transaction holds the write lock from its start, so a plain read is enough.
    fn lock(&mut self, tenant: Tenant, id: ImportId) -> Result<Option<Import>, StoreError> {
        self.run(|connection| {
            let by_id = imports_of(tenant).filter(imports::id.eq(Id(id.uuid())));
            let found: Option<ImportRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(Import::try_from).transpose()?)
        })
    }

    fn update(&mut self, import: &Import) -> Result<(), StoreError> {
        self.run_write(|connection| {
            let row = ImportRow::from(ImportRecord::from(import));
            let counts = (
                imports::rows_read.eq(row.rows_read),
                imports::rows_created.eq(row.rows_created),
                imports::rows_updated.eq(row.rows_updated),
                imports::rows_unchanged.eq(row.rows_unchanged),
                imports::rows_skipped.eq(row.rows_skipped),
                imports::rows_failed.eq(row.rows_failed),
                imports::faults.eq(row.faults),
            );
            let times = (imports::updated_at.eq(row.updated_at), imports::finished_at.eq(row.finished_at));
            let by_id = imports_of(import.tenant).filter(imports::id.eq(Id(import.id.uuid())));
            diesel::update(by_id).set((counts, times)).execute(connection)?;
            Ok(())
        })
    }

    fn forget_before(&mut self, tenant: Tenant, oldest: ImportId) -> Result<(), StoreError> {
        self.run_write(|connection| {
            diesel::delete(imports_of(tenant).filter(imports::id.lt(Id(oldest.uuid())))).execute(connection)?;
            Ok(())
        })
    }
}
