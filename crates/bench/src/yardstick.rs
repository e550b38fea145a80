//! What the database does by itself: `pgbench`, with the statements of the service.
//!
//! `yardstick/get.sql` and `yardstick/create.sql` are what the service prepares for a single request, to the letter; a
//! test holds them against it. `pgbench` has variables that are numbers or stay what they are, so identifiers, which
//! differ from request to request, are put together from numbers in the statement.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::database::Database;
use crate::dataset::{CUSTOMER_ID, Dataset, FIRST_CUSTOMER, MERCHANT_ID};
use crate::process;
use crate::workload::Operation;

/// What the service prepares to get one customer by its identifier.
const GET: &str = include_str!("../yardstick/get.sql");

/// What the service prepares to insert one customer.
const CREATE: &str = include_str!("../yardstick/create.sql");

/// What stands for the parameters of [`GET`]: an expression of pgbench, and its type.
const GET_PARAMETERS: [(&str, &str); 4] =
    [("MERCHANT", "uuid"), (":environment", "text"), ("CUSTOMER", "uuid"), ("1", "integer")];

/// What stands for the parameters of [`CREATE`]: the columns of a customer with what a request of [`Operation::Create`]
/// gives it.
const CREATE_PARAMETERS: [(&str, &str); 21] = [
    ("MERCHANT", "uuid"),
    (":environment", "text"),
    ("('0199' || :id || '80000000000000')", "uuid"),
    (":email", "text"),
    (":email", "text"),
    ("true", "boolean"),
    (":email", "text"),
    (":name", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    ("NULL", "text"),
    (":metadata", "json"),
    ("1", "bigint"),
    (":time", "timestamptz"),
    (":time", "timestamptz"),
    ("NULL", "timestamptz"),
];

/// Variables of pgbench that are text, for all scripts.
const TEXTS: [(&str, &str); 4] = [
    ("environment", "live"),
    ("name", "Customer 1000"),
    ("metadata", r#"{"plan":"pro","seats":12}"#),
    ("time", "2026-01-01Z"),
];

/// What `pgbench` runs on one database.
pub struct Yardstick {
    url: String,
    get: PathBuf,
    create: PathBuf,
}

impl Yardstick {
    /// Writes the scripts for `database` to `folder`.
    pub fn prepare(database: &Database, folder: &Path) -> anyhow::Result<Self> {
        let yardstick =
            Self { url: database.url.clone(), get: folder.join("get.pgbench"), create: folder.join("create.pgbench") };
        fs::write(&yardstick.get, get_script(database.dataset))?;
        fs::write(&yardstick.create, create_script(database.dataset))?;
        Ok(yardstick)
    }

    /// Runs one of the two operations that there is a statement for, for `seconds`, and returns how many were done in a
    /// second. No two runs have the same number.
    pub fn run(&self, operation: Operation, clients: u32, seconds: u32, number: u32) -> anyhow::Result<f64> {
        let script = if operation == Operation::Create { &self.create } else { &self.get };
        let threads = if clients == 1 { "1" } else { "2" };
        let mut command = process::tied("pgbench");
        command.args(["--no-vacuum", "--protocol", "prepared", "--jobs", threads, "--file"]).arg(script);
        command.args(["--client", &clients.to_string(), "--time", &seconds.to_string()]);
        command.args(["--define", &format!("run={}", 1000 + number), "--define", "count=0"]);
        for (name, text) in TEXTS {
            command.args(["--define", &format!("{name}={text}")]);
        }
        command.arg(&self.url);
        let printed = process::output(&mut command, Duration::from_secs(u64::from(seconds) + 60))?;
        per_second(&printed).with_context(|| format!("pgbench prints something else:\n{printed}"))
    }
}

fn get_script(dataset: Dataset) -> String {
    let (numbers, customer) = (any_customer(dataset), format!("('{}' || :n || '{}')", CUSTOMER_ID.0, CUSTOMER_ID.1));
    let parameters = GET_PARAMETERS.map(|(value, kind)| (value.replace("CUSTOMER", &customer), kind));
    format!("{numbers}{};\n", fill_in(GET, &parameters))
}

fn create_script(dataset: Dataset) -> String {
    // Identifiers rise with time, as the service's do; addresses come in no order, as the requests' do.
    let numbers = any_customer(dataset)
        + "\\set count :count + 1\n\
           \\set id (:run * 10000000 + :count) * 1000 + :client_id\n\
           \\set email :count * 1000003 % 4294967291 * 100000000 + :run * 1000 + :client_id\n";
    let parameters = CREATE_PARAMETERS.map(|(value, kind)| (value.to_owned(), kind));
    format!("{numbers}{};\n", fill_in(CREATE, &parameters))
}

/// The number of a customer, and that of its merchant.
fn any_customer(dataset: Dataset) -> String {
    let last = FIRST_CUSTOMER + dataset.customers - 1;
    let merchant = dataset.merchant_expression(":n");
    format!("\\set n random({FIRST_CUSTOMER}, {last})\n\\set merchant {merchant}\n")
}

/// Puts values in the place of `$1`, `$2` and so on.
fn fill_in(statement: &str, parameters: &[(String, &str)]) -> String {
    let mut filled = statement.trim_end().to_owned();
    // From the last on, so that `$1` is not taken for the beginning of `$12`.
    for (number, (value, kind)) in (1..).zip(parameters).collect::<Vec<_>>().into_iter().rev() {
        let value = value.replace("MERCHANT", &format!("('{MERCHANT_ID}' || :merchant)"));
        filled = filled.replace(&format!("${number}"), &format!("{value}::{kind}"));
    }
    filled
}

/// Transactions a second, without the time it took to connect. Of none at all pgbench says nothing else.
fn per_second(printed: &str) -> Option<f64> {
    let value = |name| printed.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next()?.parse().ok());
    value("tps = ").or_else(|| value("number of transactions actually processed: ").filter(|count| *count == 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;
    use roster_application::ports::{CustomerKey, CustomerRef, Store, StoreError};
    use roster_domain::{
        Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId, MerchantName, Profile,
        Tenant, Timestamp,
    };
    use roster_postgres::{Options, PostgresStore};
    use roster_test_postgres::{Cluster, ClusterOptions};
    use uuid::Uuid;

    /// Every statement that the service runs to insert one customer and to get it by its identifier.
    fn statements_of_the_service(cluster: &Cluster) -> Vec<String> {
        let url = cluster.create_database();
        let store =
            PostgresStore::connect(&Options { url: url.clone(), connections: 1, wait: Duration::from_secs(20) })
                .expect("the options are usable");
        store.migrate().expect("the migrations apply");
        let log_all = "ALTER ROLE CURRENT_USER SET log_statement = 'all'";
        PgConnection::establish(&url).expect("a server").batch_execute(log_all).expect("a superuser");
        let now = Timestamp::from_millis(0).expect("a time");
        let merchant = Merchant {
            id: MerchantId::new(Uuid::from_u128(1)),
            name: MerchantName::parse("Ada").expect("a name"),
            created_at: now,
        };
        let tenant = Tenant { merchant: merchant.id, environment: Environment::Live };
        let profile = Profile {
            email: Email::parse("ada@example.com").ok(),
            external_id: ExternalId::parse("ada").ok(),
            ..Profile::default()
        };
        let id = CustomerId::new(Uuid::from_u128(2));
        let customer = Customer::register(tenant, id, profile, EmailUse::Exclusive, now);
        let key = CustomerKey { tenant, customer: CustomerRef::Id(id) };
        let store: &dyn Store = &store;
        store
            .direct(|uow| {
                uow.merchants().insert(&merchant)?;
                uow.customers().insert(std::slice::from_ref(&customer))?;
                uow.customers().find(std::slice::from_ref(&key))?;
                Ok::<_, StoreError>(())
            })
            .expect("the database is there");
        cluster
            .log()
            .lines()
            .filter_map(|line| Some(line.split_once("LOG:  execute ")?.1.split_once(": ")?.1.to_owned()))
            .collect()
    }

    #[test]
    fn the_yardstick_is_what_the_service_prepares_for_one_request() {
        let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
        let statements = statements_of_the_service(&cluster);
        for yardstick in [GET, CREATE] {
            assert!(statements.iter().any(|statement| statement == yardstick.trim_end()), "{statements:#?}");
        }
    }

    #[test]
    fn every_parameter_is_filled_in() {
        let dataset = Dataset { customers: 10, merchants: 2 };
        for script in [get_script(dataset), create_script(dataset)] {
            assert!(!script.contains('$'), "{script}");
        }
    }

    #[test]
    fn what_pgbench_prints_is_read() {
        let printed = "latency average = 0.028 ms\ntps = 35123.4 (without initial connection time)\n";
        assert_eq!(per_second(printed), Some(35123.4));
        assert_eq!(per_second("number of transactions actually processed: 0\n"), Some(0.0));
        assert_eq!(per_second("nothing"), None);
    }
}
