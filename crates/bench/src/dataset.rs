//! The customers that everything is measured on: the same ones in both databases, made from their numbers alone, so that
//! whoever knows a number knows the customer.

use roster_domain::{CustomerId, MerchantId};
use uuid::Uuid;

/// The number of the first customer. All have eight digits, which stand in their identifiers as they are.
pub const FIRST_CUSTOMER: u64 = 10_000_001;

/// The number of the first merchant, who has half of all customers. All have four digits.
pub const FIRST_MERCHANT: u64 = 1000;

/// What stands around a customer's number in its identifier. The number is part of the time, so that identifiers rise
/// as they do in life.
pub const CUSTOMER_ID: (&str, &str) = ("0190", "70008000000000000000");

/// What stands before a merchant's number in its identifier.
pub const MERCHANT_ID: &str = "0190000000007000800000000000";

/// Odd numbers by which customers' numbers are multiplied, modulo 2^32, so that neither addresses nor the merchants' own
/// identifiers come in the order of registration.
const EMAIL_FACTOR: u64 = 2_654_435_761;
const EXTERNAL_ID_FACTOR: u64 = 2_246_822_519;

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    /// Customers, all of them live.
    pub customers: u64,
    /// Merchants.
    pub merchants: u64,
}

/// What requests need to know of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The place of its merchant in the list of merchants.
    pub merchant: usize,
    /// Its identifier.
    pub id: CustomerId,
    /// The merchant's own name for it.
    pub external_id: String,
}

impl Dataset {
    /// Some customers, evenly over all, so that a merchant has as large a part of them as of all.
    pub fn sample(self, size: u64) -> impl Iterator<Item = Known> {
        let size = size.min(self.customers);
        // An odd step meets the customers of every merchant; an even one would meet those of the first alone.
        let step = (self.customers / size.max(1)) | 1;
        (0..size).map(move |place| self.known(FIRST_CUSTOMER + place * step % self.customers))
    }

    fn known(self, customer: u64) -> Known {
        let id = format!("{}{customer}{}", CUSTOMER_ID.0, CUSTOMER_ID.1);
        Known {
            merchant: self.merchant(customer),
            id: CustomerId::new(uuid(&id)),
            external_id: format!("usr_{:08x}", customer * EXTERNAL_ID_FACTOR % (1 << 32)),
        }
    }

    fn merchant(self, customer: u64) -> usize {
        let place = if customer.is_multiple_of(2) { 0 } else { 1 + customer / 2 % (self.merchants - 1) };
        usize::try_from(place).expect("there are few merchants")
    }

    /// The number of the merchant of the customer with the number `customer`, as an expression that SQL and pgbench
    /// understand.
    pub fn merchant_expression(self, customer: &str) -> String {
        format!(
            "CASE WHEN {customer} % 2 = 0 THEN {FIRST_MERCHANT} \
             ELSE {FIRST_MERCHANT} + 1 + {customer} / 2 % {} END",
            self.merchants - 1
        )
    }

    /// The merchants' identifiers, in order.
    pub fn merchant_ids(self) -> impl Iterator<Item = MerchantId> {
        (FIRST_MERCHANT..).take(usize::try_from(self.merchants).expect("there are few merchants")).map(|merchant| {
            let id = format!("{MERCHANT_ID}{merchant}");
            MerchantId::new(uuid(&id))
        })
    }

    /// The statement that makes the merchants.
    pub fn merchants_sql(self, dialect: Dialect) -> String {
        let rows = self.merchant_ids().enumerate().map(|(place, id)| {
            let id = dialect.uuid(&format!("'{}'", id.uuid().simple()));
            format!("({id}, 'Merchant {place}', {})", dialect.time("0"))
        });
        let rows: Vec<String> = rows.collect();
        format!("INSERT INTO merchants (id, name, created_at) VALUES {}", rows.join(", "))
    }

    /// The statement that makes `count` customers, from the one at `place` on.
    pub fn customers_sql(self, dialect: Dialect, place: u64, count: u64) -> String {
        let first = FIRST_CUSTOMER + place;
        let merchant = dialect.uuid(&format!("'{MERCHANT_ID}' || {}", self.merchant_expression("n")));
        let id = dialect.uuid(&format!("'{}' || n || '{}'", CUSTOMER_ID.0, CUSTOMER_ID.1));
        let email = dialect.hex(&format!("n * {EMAIL_FACTOR} % 4294967296"));
        let external_id = dialect.hex(&format!("n * {EXTERNAL_ID_FACTOR} % 4294967296"));
        let time = dialect.time("n");
        let numbers = dialect.numbers(first, first + count - 1);
        // The e-mail address is lower-case ASCII, so it is its own key.
        format!(
            "INSERT INTO customers (merchant_id, environment, id, email, email_key, email_exclusive, external_id, \
             name, phone, address_line1, address_line2, address_city, address_state, address_postal_code, \
             address_country, tax_id, metadata, version, created_at, updated_at) \
             SELECT {merchant}, 'live', {id}, {email} || '@example.com', {email} || '@example.com', true, \
             'usr_' || {external_id}, 'Customer ' || n, '+14155552671', '123 Main Street', 'Suite 400', \
             'San Francisco', 'CA', '94105', 'US', '12-3456789', '{{\"plan\":\"pro\",\"seats\":12}}', 1, {time}, \
             {time} FROM {numbers}"
        )
    }
}

fn uuid(digits: &str) -> Uuid {
    Uuid::parse_str(digits).expect("32 digits")
}

/// What the two databases say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL
    Postgres,
    /// SQLite
    Sqlite,
}

impl Dialect {
    /// An identifier, of 32 digits.
    fn uuid(self, digits: &str) -> String {
        match self {
            Self::Postgres => format!("({digits})::uuid"),
            Self::Sqlite => format!("unhex({digits})"),
        }
    }

    /// Eight hexadecimal digits.
    fn hex(self, number: &str) -> String {
        match self {
            Self::Postgres => format!("lpad(to_hex({number}), 8, '0')"),
            Self::Sqlite => format!("printf('%08x', {number})"),
        }
    }

    /// A time, so many seconds into 2025.
    fn time(self, seconds: &str) -> String {
        match self {
            Self::Postgres => format!("timestamptz '2025-01-01Z' + {seconds} * interval '1 second'"),
            Self::Sqlite => format!("1735689600000000 + {seconds} * 1000000"),
        }
    }

    /// A table of numbers `n`.
    fn numbers(self, first: u64, last: u64) -> String {
        match self {
            Self::Postgres => format!("generate_series({first}::bigint, {last}) AS n"),
            Self::Sqlite => format!(
                "(WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) \
                 SELECT n FROM numbers)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::SimpleConnection as _;
    use diesel::dsl::sql;
    use diesel::prelude::*;
    use diesel::sql_types::Text;

    const DATASET: Dataset = Dataset { customers: 1000, merchants: 5 };

    #[test]
    fn the_largest_merchant_has_half_of_the_customers_and_of_a_sample() {
        for size in [1000, 500, 100] {
            let merchants: Vec<usize> = DATASET.sample(size).map(|known| known.merchant).collect();
            let of = |merchant| merchants.iter().filter(|of| **of == merchant).count();
            assert_eq!(of(0), merchants.len() / 2);
            assert!((1..5).all(|other| of(other).abs_diff(merchants.len() / 8) <= 1), "{merchants:?}");
        }
    }

    #[test]
    fn the_database_holds_the_customers_that_requests_ask_for() {
        let mut connection = SqliteConnection::establish(":memory:").expect("memory");
        let schema = "CREATE TABLE customers (merchant_id, environment, id, email, email_key, email_exclusive, \
             external_id, name, phone, address_line1, address_line2, address_city, address_state, \
             address_postal_code, address_country, tax_id, metadata, version, created_at, updated_at)";
        connection.batch_execute(schema).expect("a table");
        for place in [0, 500] {
            connection.batch_execute(&DATASET.customers_sql(Dialect::Sqlite, place, 500)).expect("customers");
        }
        let query =
            sql::<Text>("SELECT lower(hex(merchant_id)) || lower(hex(id)) || external_id FROM customers ORDER BY id");
        let stored: Vec<String> = query.load(&mut connection).expect("customers");
        let merchants: Vec<MerchantId> = DATASET.merchant_ids().collect();
        let known = |known: Known| {
            let merchant = merchants[known.merchant].uuid().simple();
            format!("{merchant}{}{}", known.id.uuid().simple(), known.external_id)
        };
        let mut asked: Vec<String> = DATASET.sample(1000).map(known).collect();
        asked.sort_by_key(|text| text[32..64].to_owned());
        assert_eq!(asked, stored);
    }
}
