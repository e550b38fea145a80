//! The customers of the benchmark. They are the same in both databases, and every column of a customer is computed from
//! its number.

use roster_domain::{CustomerId, MerchantId};
use uuid::Uuid;

/// The number of the first customer. All numbers have eight digits, and the id of a customer contains them.
pub const FIRST_CUSTOMER: u64 = 10_000_001;

/// The number of the first merchant, which has half of all customers. All numbers have four digits.
pub const FIRST_MERCHANT: u64 = 1000;

/// The digits before and after a customer's number in its id. The number is in the time of the UUID, so that ids
/// increase as they do in production.
pub const CUSTOMER_ID: (&str, &str) = ("0190", "70008000000000000000");

/// The digits before a merchant's number in its id.
pub const MERCHANT_ID: &str = "0190000000007000800000000000";

/// Odd factors of customers' numbers, modulo 2^32, so that neither e-mail addresses nor external ids are in the order
/// of registration.
const EMAIL_FACTOR: u64 = 2_654_435_761;
const EXTERNAL_ID_FACTOR: u64 = 2_246_822_519;

/// The number of customers and merchants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    /// The number of customers, which are all live.
    pub customers: u64,
    /// The number of merchants.
    pub merchants: u64,
}

/// A customer that requests name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleCustomer {
    /// The index of its merchant in the list of merchants.
    pub merchant: usize,
    /// Its id.
    pub id: CustomerId,
    /// Its external id.
    pub external_id: String,
}

impl Dataset {
    /// A sample of `size` customers, spread evenly: each merchant has the same share of it as of all customers.
    pub fn sample(self, size: u64) -> impl Iterator<Item = SampleCustomer> {
        let size = size.min(self.customers);
        // The step must be odd: an even step would find only customers of the first merchant.
        let step = (self.customers / size.max(1)) | 1;
        (0..size).map(move |index| self.customer(FIRST_CUSTOMER + index * step % self.customers))
    }

    fn customer(self, customer: u64) -> SampleCustomer {
        let id = format!("{}{customer}{}", CUSTOMER_ID.0, CUSTOMER_ID.1);
        SampleCustomer {
            merchant: self.merchant(customer),
            id: CustomerId::new(uuid(&id)),
            external_id: format!("usr_{:08x}", customer * EXTERNAL_ID_FACTOR % (1 << 32)),
        }
    }

    fn merchant(self, customer: u64) -> usize {
        let index = if customer.is_multiple_of(2) { 0 } else { 1 + customer / 2 % (self.merchants - 1) };
        usize::try_from(index).expect("there are few merchants")
    }

    /// An expression of SQL and of pgbench: the number of the merchant of the customer with the number `customer`.
    pub fn merchant_expression(self, customer: &str) -> String {
        format!(
            "CASE WHEN {customer} % 2 = 0 THEN {FIRST_MERCHANT} \
             ELSE {FIRST_MERCHANT} + 1 + {customer} / 2 % {} END",
            self.merchants - 1
        )
    }

    /// The ids of the merchants, in order.
    pub fn merchant_ids(self) -> impl Iterator<Item = MerchantId> {
        (FIRST_MERCHANT..).take(usize::try_from(self.merchants).expect("there are few merchants")).map(|merchant| {
            let id = format!("{MERCHANT_ID}{merchant}");
            MerchantId::new(uuid(&id))
        })
    }

    /// The statement that inserts the merchants.
    pub fn merchants_sql(self, dialect: Dialect) -> String {
        let rows = self.merchant_ids().enumerate().map(|(index, id)| {
            let id = dialect.uuid(&format!("'{}'", id.uuid().simple()));
            format!("({id}, 'Merchant {index}', {})", dialect.time("0"))
        });
        let rows: Vec<String> = rows.collect();
        format!("INSERT INTO merchants (id, name, created_at) VALUES {}", rows.join(", "))
    }

    /// The statement that inserts `count` customers, beginning at the index `start`.
    pub fn customers_sql(self, dialect: Dialect, start: u64, count: u64) -> String {
        let first = FIRST_CUSTOMER + start;
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

/// The SQL dialect of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL
    Postgres,
    /// SQLite
    Sqlite,
}

impl Dialect {
    /// A UUID of 32 hexadecimal digits.
    fn uuid(self, digits: &str) -> String {
        match self {
            Self::Postgres => format!("({digits})::uuid"),
            Self::Sqlite => format!("unhex({digits})"),
        }
    }

    /// A number as eight hexadecimal digits.
    fn hex(self, number: &str) -> String {
        match self {
            Self::Postgres => format!("lpad(to_hex({number}), 8, '0')"),
            Self::Sqlite => format!("printf('%08x', {number})"),
        }
    }

    /// A time, in seconds after the beginning of 2025.
    fn time(self, seconds: &str) -> String {
        match self {
            Self::Postgres => format!("timestamptz '2025-01-01Z' + {seconds} * interval '1 second'"),
            Self::Sqlite => format!("1735689600000000 + {seconds} * 1000000"),
        }
    }

    /// A relation with the numbers from `first` to `last` in the column `n`.
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
            let merchants: Vec<usize> = DATASET.sample(size).map(|customer| customer.merchant).collect();
            let of = |merchant| merchants.iter().filter(|of| **of == merchant).count();
            assert_eq!(of(0), merchants.len() / 2);
            assert!((1..5).all(|other| of(other).abs_diff(merchants.len() / 8) <= 1), "{merchants:?}");
        }
    }

    #[test]
    fn the_database_has_the_customers_that_requests_name() {
        let mut connection = SqliteConnection::establish(":memory:").expect("memory");
        let schema = "CREATE TABLE customers (merchant_id, environment, id, email, email_key, email_exclusive, \
             external_id, name, phone, address_line1, address_line2, address_city, address_state, \
             address_postal_code, address_country, tax_id, metadata, version, created_at, updated_at)";
        connection.batch_execute(schema).expect("a table");
        for start in [0, 500] {
            connection.batch_execute(&DATASET.customers_sql(Dialect::Sqlite, start, 500)).expect("customers");
        }
        let query =
            sql::<Text>("SELECT lower(hex(merchant_id)) || lower(hex(id)) || external_id FROM customers ORDER BY id");
        let stored: Vec<String> = query.load(&mut connection).expect("customers");
        let merchants: Vec<MerchantId> = DATASET.merchant_ids().collect();
        let line = |customer: SampleCustomer| {
            let merchant = merchants[customer.merchant].uuid().simple();
            format!("{merchant}{}{}", customer.id.uuid().simple(), customer.external_id)
        };
        let mut named: Vec<String> = DATASET.sample(1000).map(line).collect();
        named.sort_by_key(|text| text[32..64].to_owned());
        assert_eq!(named, stored);
    }
}
