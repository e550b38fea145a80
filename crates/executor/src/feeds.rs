//! Waiting for events.
//!
//! One thread looks at the heads of all logs that are waited for, with one statement however many wait, and so sees the events of
//! all processes in the same way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roster_application::Roster;
use roster_domain::Tenant;
use tokio::sync::watch;

/// How often the heads are looked at while they are waited for.
const INTERVAL: Duration = Duration::from_millis(20);

/// The same while none is, or the store does not answer.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// The logs that are waited for.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<Tenant, watch::Sender<i64>>>);

impl Feeds {
    /// The last place of a log as it was seen last. It is looked up until the receiver is dropped.
    pub(crate) fn watch(&self, tenant: Tenant) -> watch::Receiver<i64> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.entry(tenant).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Looks at all heads that are waited for. Returns how long to wait until the next look.
    pub(crate) fn look(&self, roster: &Roster) -> Duration {
        let tenants: Vec<Tenant> = {
            let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|_, heads| heads.receiver_count() > 0);
            watched.keys().copied().collect()
        };
        if tenants.is_empty() {
            return IDLE_INTERVAL;
        }
        match roster.feed_heads(&tenants) {
            Ok(heads) => {
                let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (tenant, head) in tenants.iter().zip(heads) {
                    if let Some(sender) = watched.get(tenant) {
                        sender.send_if_modified(|last| std::mem::replace(last, head) != head);
                    }
                }
                INTERVAL
            }
            Err(error) => {
                tracing::debug!(%error, "the heads of logs are not looked up");
                IDLE_INTERVAL
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roster_application::Operation;
    use roster_application::ports::StoreError;
    use roster_domain::{Environment, MerchantName, Tenant};

    use super::*;
    use crate::tests::roster;

    #[test]
    fn only_logs_that_are_waited_for_are_looked_at() -> Result<(), StoreError> {
        let (roster, feeds) = (roster(), Feeds::default());
        let name = MerchantName::parse("Ada").expect("a name");
        let tenant = Tenant {
            merchant: roster.create_merchant(name, &Operation::COMMAND_LINE)?.id,
            environment: Environment::Live,
        };
        let head = feeds.watch(tenant);
        assert_eq!(feeds.look(&roster), INTERVAL);
        assert!(!head.has_changed().expect("a sender"), "a log without events has not grown");
        drop(head);
        assert_eq!(feeds.look(&roster), IDLE_INTERVAL);
        Ok(())
    }
}
