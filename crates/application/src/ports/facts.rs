use roster_domain::{Customer, EndpointId, Tenant};

/// What a check compares, as it is stored.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The log of a tenant. There is one for each tenant, also for one without events.
    Log(LogFact),
    /// A customer, live or deleted.
    Customer(Box<CustomerFact>),
    /// How far the deliveries to a webhook endpoint have come, in a log that ends at `head`.
    Cursor {
        /// The tenant.
        tenant: Tenant,
        /// The endpoint.
        endpoint: EndpointId,
        /// The last place that deliveries have passed.
        cursor: i64,
        /// The last place of the log.
        head: i64,
    },
    /// Something that is wrong whatever else is stored.
    Fault(Fault),
}

/// Something that is wrong whatever else is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The database says of itself that it is damaged, and how.
    Damage(String),
    /// A row names a row that is not there.
    Orphan {
        /// Its table.
        table: String,
        /// What identifies it there; no personal data.
        row: String,
        /// The table of the row that it names.
        parent: String,
    },
    /// Several live customers of a tenant have what only one may have.
    Taken {
        /// The tenant.
        tenant: Tenant,
        /// The column.
        column: &'static str,
        /// One of the customers.
        customer: String,
        /// How many they are.
        number: i64,
    },
    /// A row cannot be read: a column does not decode.
    Unreadable {
        /// The table.
        table: &'static str,
        /// What identifies it there, and its column.
        row: String,
    },
}

/// The log of a tenant: where it says that it begins and ends, and which events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFact {
    /// The tenant.
    pub tenant: Tenant,
    /// The last place whose event is no longer kept; 0 if all are.
    pub floor: i64,
    /// The last place; 0 if the log has had no event.
    pub head: i64,
    /// The number of events.
    pub events: i64,
    /// The places of the first and the last of them; 0 if there are none.
    pub first: i64,
    /// See `first`.
    pub last: i64,
}

/// A customer, and what else is stored because of it.
#[derive(Debug, Clone)]
pub struct CustomerFact {
    /// The customer.
    pub customer: Customer,
    /// The version in its newest event that is kept, those of its subscriptions aside.
    pub newest_event: Option<i64>,
    /// What the index for searches has of it.
    pub indexed: Indexed,
}

/// What an index for searches has of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// Nothing of its present version: a background job adds it, and searches look at the customer itself.
    Not,
    /// What its texts give.
    Right,
    /// Something else, though the index counts it as up to date: searches miss it.
    Wrong,
}
