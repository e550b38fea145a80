use diesel::prelude::*;
use roster_application::ports::{OperatorRepository, RevokedOperator, StoreError};
use roster_application::records::{LogEntryRecord, OperatorRecord};
use roster_application::{Digest, LogEntry, Operator};
use roster_domain::{LogEntryId, OperatorId, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::limit;
use crate::schema::{LogEntryRow, OperatorRow, operator_log, operators};
use crate::unit_of_work::PostgresUnitOfWork;

impl OperatorRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, operator: &Operator) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::insert_into(operators::table)
                .values(OperatorRow::from(OperatorRecord::from(operator)))
                .execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, digest: &Digest) -> Result<Option<Operator>, StoreError> {
        self.run(|connection| {
            let by_digest = operators::table.filter(operators::digest.eq(digest.0.as_slice()));
            let found: Option<OperatorRow> = by_digest.get_result(connection).optional()?;
            Ok(found.map(Operator::try_from).transpose()?)
        })
    }

    fn list(&mut self, after: Option<OperatorId>, size: usize) -> Result<Vec<Operator>, StoreError> {
        self.run(|connection| {
            let page = operators::table.order(operators::id).limit(limit(size));
            let found: Vec<OperatorRow> = match after {
                Some(after) => page.filter(operators::id.gt(after.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Operator::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn revoke(&mut self, id: OperatorId, at: Timestamp) -> Result<Option<RevokedOperator>, StoreError> {
        self.run(|connection| {
            let usable = operators::table.find(id.uuid()).filter(operators::revoked_at.is_null());
            let changed = diesel::update(usable).set(operators::revoked_at.eq(at.to_utc())).execute(connection)?;
            let found: Option<OperatorRow> = operators::table.find(id.uuid()).get_result(connection).optional()?;
            let operator = found.map(Operator::try_from).transpose()?;
            Ok(operator.map(|operator| RevokedOperator { operator, is_new: changed > 0 }))
        })
    }

    fn record_use(&mut self, id: OperatorId, at: Timestamp) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::update(operators::table.find(id.uuid()))
                .set(operators::last_used_at.eq(at.to_utc()))
                .execute(connection)?;
            Ok(())
        })
    }

    fn log(&mut self, entry: &LogEntry) -> Result<(), StoreError> {
        self.run(|connection| {
            diesel::insert_into(operator_log::table)
                .values(LogEntryRow::from(LogEntryRecord::from(entry)))
                .execute(connection)?;
            Ok(())
        })
    }

    fn entries(&mut self, before: Option<LogEntryId>, size: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.run(|connection| {
            let page = operator_log::table.order(operator_log::id.desc()).limit(limit(size));
            let found: Vec<LogEntryRow> = match before {
                Some(before) => page.filter(operator_log::id.lt(before.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| LogEntry::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn delete_entries(&mut self, oldest: LogEntryId, size: usize) -> Result<usize, StoreError> {
        self.run(|connection| {
            let outdated = operator_log::table
                .filter(operator_log::id.lt(oldest.uuid()))
                .order(operator_log::id)
                .limit(limit(size));
            let ids: Vec<Uuid> = outdated.select(operator_log::id).load(connection)?;
            Ok(diesel::delete(operator_log::table.filter(operator_log::id.eq_any(ids))).execute(connection)?)
        })
    }
}
