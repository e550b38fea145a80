//! The replies to requests with idempotency keys.

use roster_application::Digest;
use roster_application::ports::{ReplyKey, ReplyRepository, SavedReply, StoreError};
use roster_domain::{CustomerId, Tenant, Timestamp};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl ReplyRepository for MemoryUnitOfWork<'_> {
    fn find(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<Vec<Option<SavedReply>>, StoreError> {
        self.call(|rows| {
            let find = |key| rows.replies.get(key).filter(|reply| !reply.has_expired(now)).cloned();
            Ok(keys.iter().map(find).collect())
        })
    }

    fn save(&mut self, replies: &[SavedReply]) -> Result<Vec<bool>, StoreError> {
        self.call(|rows| Ok(replies.iter().map(|reply| rows.save(reply)).collect()))
    }

    fn of_customer(
        &mut self,
        tenant: Tenant,
        customer: Option<CustomerId>,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<SavedReply>, StoreError> {
        self.call(|rows| {
            let is_listed = |reply: &&SavedReply| {
                reply.key.tenant == tenant
                    && reply.customer == customer
                    && after.is_none_or(|after| reply.key.digest > after)
            };
            Ok(rows.replies.values().filter(is_listed).take(limit).cloned().collect())
        })
    }

    fn expired(&mut self, tenants: &[Tenant], now: Timestamp, limit: usize) -> Result<Vec<ReplyKey>, StoreError> {
        self.call(|rows| {
            let is_expired = |reply: &&SavedReply| tenants.contains(&reply.key.tenant) && reply.has_expired(now);
            Ok(rows.replies.values().filter(is_expired).map(|reply| reply.key).take(limit).collect())
        })
    }

    fn delete_expired(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<(), StoreError> {
        self.call(|rows| {
            for key in keys {
                if rows.replies.get(key).is_some_and(|reply| reply.has_expired(now)) {
                    rows.replies.remove(key);
                }
            }
            Ok(())
        })
    }
}

impl Rows {
    /// Whether the key of a new reply has no other.
    pub(crate) fn takes(&self, reply: &SavedReply) -> bool {
        self.replies.get(&reply.key).is_none_or(|stored| stored.has_expired(reply.created_at))
    }

    fn save(&mut self, reply: &SavedReply) -> bool {
        let takes = self.takes(reply);
        if takes {
            self.replies.insert(reply.key, reply.clone());
        }
        takes
    }
}
