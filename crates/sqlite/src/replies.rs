//! Reading and deleting saved replies; `writes.rs` writes them, with their customers or alone.

use diesel::prelude::*;
use roster_application::Digest;
use roster_application::ports::{ReplyKey, ReplyRepository, SavedReply, StoreError};
use roster_application::records::reply_key;
use roster_domain::{CustomerId, Tenant, Timestamp};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{ReplyRow, replies, replies_of};
use crate::unit_of_work::SqliteUnitOfWork;
use crate::writes;

impl ReplyRepository for SqliteUnitOfWork<'_> {
    fn find(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<Vec<Option<SavedReply>>, StoreError> {
        self.run_each(keys, |connection, key| find_one(connection, key, now))
    }

    fn save(&mut self, replies: &[SavedReply]) -> Result<Vec<bool>, StoreError> {
        if replies.is_empty() {
            return Ok(Vec::new());
        }
        self.run_write(|connection| replies.iter().map(|reply| Ok(writes::save(connection, reply)?)).collect())
    }

    fn of_customer(
        &mut self,
        tenant: Tenant,
        customer: Option<CustomerId>,
        after: Option<Digest>,
        size: usize,
    ) -> Result<Vec<SavedReply>, StoreError> {
        self.run(|connection| {
            let mut page = replies_of(tenant).order(replies::key_digest).limit(limit(size)).into_boxed();
            page = match customer {
                Some(customer) => page.filter(replies::customer_id.eq(Id(customer.uuid()))),
                None => page.filter(replies::customer_id.is_null()),
            };
            if let Some(after) = after {
                page = page.filter(replies::key_digest.gt(after.0.to_vec()));
            }
            let found: Vec<ReplyRow> = page.load(connection)?;
            found.into_iter().map(|row| SavedReply::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn expired(&mut self, tenants: &[Tenant], now: Timestamp, size: usize) -> Result<Vec<ReplyKey>, StoreError> {
        self.run_together(|connection| {
            let mut keys = Vec::new();
            for tenant in tenants.iter().filter(|_| size > 0) {
                let expired = replies_of(*tenant).filter(replies::expires_at.le(Time::from(now)));
                let page =
                    expired.order(replies::expires_at).select(replies::key_digest).limit(limit(size - keys.len()));
                let found: Vec<Vec<u8>> = page.load(connection)?;
                for digest in found {
                    let (merchant, environment) = (tenant.merchant.uuid(), tenant.environment.as_str());
                    keys.push(reply_key(merchant, environment, digest)?);
                }
                if keys.len() == size {
                    break;
                }
            }
            Ok(keys)
        })
    }

    fn delete_expired(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<(), StoreError> {
        self.run_write(|connection| {
            for key in keys {
                let of_key = replies_of(key.tenant).filter(replies::key_digest.eq(key.digest.0.as_slice()));
                diesel::delete(of_key.filter(replies::expires_at.le(Time::from(now)))).execute(connection)?;
            }
            Ok(())
        })
    }
}

/// The reply of a key that has not expired.
pub fn find_one(
    connection: &mut SqliteConnection,
    key: &ReplyKey,
    now: Timestamp,
) -> Result<Option<SavedReply>, Fault> {
    let of_key = replies_of(key.tenant).filter(replies::key_digest.eq(key.digest.0.as_slice()));
    let found: Option<ReplyRow> = of_key.get_result(connection).optional()?;
    let found = found.map(SavedReply::try_from).transpose()?;
    Ok(found.filter(|reply| !reply.has_expired(now)))
}
