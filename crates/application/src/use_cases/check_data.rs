use roster_domain::{Email, Tenant};

use crate::Roster;
use crate::ports::{CustomerFact, Fact, Fault, Indexed, LogFact, StoreError};

/// A rule that all stored data keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// The database is not damaged.
    Database,
    /// Each row can be read.
    Rows,
    /// Each row that another one names is there.
    References,
    /// A log ends at its head, begins behind its floor, and has each event in between.
    Log,
    /// The newest event of a customer has its version.
    Version,
    /// The key of an address is what the domain computes from it.
    EmailKey,
    /// No two live customers of a tenant claim the same address or have the same external identifier.
    Uniqueness,
    /// The index for searches has what the domain computes from a customer.
    SearchIndex,
    /// Deliveries have not passed the end of the log.
    Cursor,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Database,
        Self::Rows,
        Self::References,
        Self::Log,
        Self::Version,
        Self::EmailKey,
        Self::Uniqueness,
        Self::SearchIndex,
        Self::Cursor,
    ];

    /// Its name, such as `email_key`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Rows => "rows",
            Self::References => "references",
            Self::Log => "log",
            Self::Version => "version",
            Self::EmailKey => "email_key",
            Self::Uniqueness => "uniqueness",
            Self::SearchIndex => "search_index",
            Self::Cursor => "cursor",
        }
    }
}

/// A place where stored data breaks a rule. It has no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub invariant: Invariant,
    /// Whose data it is, if that is known.
    pub tenant: Option<Tenant>,
    /// What breaks it, for people.
    pub detail: String,
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// The tenants.
    pub tenants: u64,
    /// The customers, deleted ones among them.
    pub customers: u64,
    /// The events.
    pub events: u64,
}

impl Roster {
    /// Compares all that is stored with the rules that every writer keeps, as it is at one moment, and calls `found` for each place
    /// that breaks one. It writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] if not all could be compared.
    pub fn check_data(&self, found: &mut dyn FnMut(Finding)) -> Result<Checked, StoreError> {
        let mut checked = Checked::default();
        self.store.inspect(&mut |fact| {
            match &fact {
                Fact::Log(log) => {
                    checked.tenants += 1;
                    checked.events += log.events.unsigned_abs();
                }
                Fact::Customer(_) => checked.customers += 1,
                Fact::Cursor { .. } | Fact::Fault(_) => {}
            }
            judge(fact, found);
        })?;
        Ok(checked)
    }
}

fn judge(fact: Fact, found: &mut dyn FnMut(Finding)) {
    match fact {
        Fact::Log(log) => {
            if let Some(detail) = fault_of_log(&log) {
                found(Finding { invariant: Invariant::Log, tenant: Some(log.tenant), detail });
            }
        }
        Fact::Customer(fact) => judge_customer(&fact, found),
        Fact::Cursor { tenant, endpoint, cursor, head } => {
            if cursor > head {
                let detail = format!("the webhook endpoint {endpoint} is at {cursor}, but the log ends at {head}");
                found(Finding { invariant: Invariant::Cursor, tenant: Some(tenant), detail });
            }
        }
        Fact::Fault(fault) => found(finding(fault)),
    }
}

fn fault_of_log(log: &LogFact) -> Option<String> {
    let LogFact { floor, head, events, first, last, .. } = *log;
    if floor > head {
        return Some(format!("the log ends at {head}, but its events up to {floor} are said to be deleted"));
    }
    if events == 0 {
        return (floor < head).then(|| format!("the log ends at {head}, but has no event behind {floor}"));
    }
    if last != head {
        return Some(format!("the log ends at {head}, but its last event is {last}"));
    }
    if first != floor + 1 {
        return Some(format!("the log begins behind {floor}, but its first event is {first}"));
    }
    let missing = last - first + 1 - events;
    (missing != 0).then(|| format!("{missing} events from {first} to {last} are missing"))
}

fn judge_customer(fact: &CustomerFact, found: &mut dyn FnMut(Finding)) {
    let CustomerFact { customer, newest_event, indexed } = fact;
    let (id, version) = (customer.id(), customer.version());
    let mut find = |invariant, detail| found(Finding { invariant, tenant: Some(customer.tenant()), detail });
    if let Some(event) = newest_event.filter(|event| *event != version) {
        find(Invariant::Version, format!("{id} has the version {version}, but its newest event has {event}"));
    }
    if let Some(email) = &customer.profile().email {
        match Email::parse(email.as_str()) {
            Ok(computed) if computed.key() == email.key() => {}
            Ok(_) => find(Invariant::EmailKey, format!("the key of the address of {id} is that of another address")),
            Err(rule) => find(Invariant::EmailKey, format!("the address of {id} {rule}")),
        }
    }
    if *indexed == Indexed::Wrong {
        find(Invariant::SearchIndex, format!("the index for searches has other texts for {id}"));
    }
}

fn finding(fault: Fault) -> Finding {
    let (invariant, tenant, detail) = match fault {
        Fault::Damage(detail) => (Invariant::Database, None, detail),
        Fault::Orphan { table, row, parent } => {
            (Invariant::References, None, format!("{table}: {row} names a row of {parent} that is not there"))
        }
        Fault::Taken { tenant, column, customer, number } => {
            let detail = format!("{number} live customers have the {column} of {customer}");
            (Invariant::Uniqueness, Some(tenant), detail)
        }
        Fault::Unreadable { table, row } => (Invariant::Rows, None, format!("{table}: {row} does not decode")),
    };
    Finding { invariant, tenant, detail }
}

#[cfg(test)]
mod tests {
    use roster_domain::{Environment, MerchantId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_log_has_every_event_between_its_floor_and_its_head() {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live };
        let fault =
            |floor, head, events, first, last| fault_of_log(&LogFact { tenant, floor, head, events, first, last });
        for (floor, head, events, first, last) in [(0, 0, 0, 0, 0), (0, 3, 3, 1, 3), (2, 3, 1, 3, 3), (3, 3, 0, 0, 0)] {
            assert_eq!(fault(floor, head, events, first, last), None);
        }
        for (log, word) in [
            ((4, 3, 0, 0, 0), "deleted"),
            ((0, 3, 0, 0, 0), "no event"),
            ((0, 3, 2, 1, 2), "last event is 2"),
            ((0, 3, 4, 1, 4), "last event is 4"),
            ((0, 3, 2, 2, 3), "first event is 2"),
            ((2, 3, 3, 1, 3), "first event is 1"),
            ((0, 3, 2, 1, 3), "1 events from 1 to 3 are missing"),
        ] {
            let (floor, head, events, first, last) = log;
            let found = fault(floor, head, events, first, last).unwrap_or_default();
            assert!(found.contains(word), "{log:?}: {found}");
        }
    }

    #[test]
    fn each_invariant_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Invariant::ALL.into_iter().map(Invariant::as_str).collect();
        assert_eq!(names.len(), Invariant::ALL.len());
    }
}
