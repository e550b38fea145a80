//! Measures the database without the service: `pgbench` runs the statements of the service.
//!
//! `get.sql`, `create.sql` and `list.sql` in `pgbench/` are exactly what the service prepares for a single request;
//! a test compares them. `update.sql` is written by hand: the service reads a customer before it changes it, pgbench
//! needs only one statement. Creates and updates write their event, too. A variable of `pgbench` that changes can only be a number, so the statements build ids,
//! which differ for each request, from numbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::database::Database;
use crate::dataset::{CUSTOMER_ID, Dataset, FIRST_CUSTOMER, MERCHANT_ID};
use crate::process;
use crate::workload::Operation;

/// The settings of a session in which PostgreSQL plans as in the sessions of the service: each statement once, and by
/// an index, and compiles none. Left to choose, it would plan a page anew each time. `crates/postgres/src/session.rs` has the
/// reasons, and more settings, which change none of these plans.
pub const SESSION_OPTIONS: (&str, &str) =
    ("PGOPTIONS", "-c plan_cache_mode=force_generic_plan -c enable_sort=off -c enable_seqscan=off -c jit=off");

/// What pgbench runs for one operation.
struct Script {
    operation: Operation,
    /// One statement.
    statement: &'static str,
    /// Lines that set further variables.
    variables: &'static str,
    /// The values for the parameters of the statement: an expression, and its type. `MERCHANT` and `CUSTOMER` are the
    /// ids of a random customer.
    parameters: &'static [(&'static str, &'static str)],
}

const SCRIPTS: [Script; 4] = [
    Script {
        operation: Operation::Get,
        statement: include_str!("../pgbench/get.sql"),
        variables: "",
        parameters: &[("MERCHANT", "uuid"), (":environment", "text"), ("CUSTOMER", "uuid")],
    },
    Script {
        operation: Operation::Create,
        statement: include_str!("../pgbench/create.sql"),
        // Ids increase with time, as those of the service do; addresses are in no order, as those of the requests are.
        variables: "\\set count :count + 1\n\
                    \\set id (:run * 10000000 + :count) * 1000 + :client_id\n\
                    \\set email :count * 1000003 % 4294967291 * 100000000 + :run * 1000 + :client_id\n",
        parameters: &CREATE_PARAMETERS,
    },
    Script {
        operation: Operation::Update,
        statement: include_str!("../pgbench/update.sql"),
        variables: "\\set count :count + 1\n",
        parameters: &[
            ("MERCHANT", "uuid"),
            (":environment", "text"),
            ("CUSTOMER", "uuid"),
            ("('Changed ' || :run || '-' || :count)", "text"),
            (r#"('{"plan":"pro","seats":' || :count || '}')"#, "json"),
            (":time", "timestamptz"),
            (":changes", "text"),
            (":key", "text"),
        ],
    },
    Script {
        operation: Operation::List,
        statement: include_str!("../pgbench/list.sql"),
        variables: "",
        // A variable, not a number in the statement: the service also sends the limit as a parameter.
        parameters: &[("MERCHANT", "uuid"), (":environment", "text"), (":limit", "bigint")],
    },
];

/// The columns of a new customer, of the tenant whose log grows, and of the event, as a request of [`Operation::Create`] fills
/// them. Without hashes for the index for searches, which PostgreSQL would have to make. If they were NULL, the service would add
/// them later, and disturb what is measured then.
const CREATE_PARAMETERS: [(&str, &str); 45] = [
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
    ("NULL", "timestamptz"),
    ("'{}'", "int4[]"),
    ("ARRAY[MERCHANT]", "uuid[]"),
    ("ARRAY[:environment]", "text[]"),
    ("ARRAY[('0199' || :id || '80000000000000')]", "uuid[]"),
    ("ARRAY[MERCHANT]", "uuid[]"),
    ("ARRAY[:environment]", "text[]"),
    ("ARRAY[1]", "bigint[]"),
    ("ARRAY[('0199' || :id || '80000000000000')]", "uuid[]"),
    ("ARRAY[NULL]", "text[]"),
    ("ARRAY[1]", "bigint[]"),
    ("ARRAY['customer.created']", "text[]"),
    ("ARRAY[:changes]", "text[]"),
    ("ARRAY['api_key']", "text[]"),
    ("ARRAY[:key]", "text[]"),
    ("ARRAY[NULL]", "text[]"),
    ("ARRAY[:key]", "text[]"),
    ("ARRAY[NULL]", "text[]"),
    ("ARRAY[:time]", "timestamptz[]"),
];

/// Constant variables of pgbench for all scripts. The limit is that of a page of 25: one more customer shows whether
/// another page follows.
const TEXTS: [(&str, &str); 7] = [
    ("environment", "live"),
    ("limit", "26"),
    ("name", "Customer 1000"),
    ("metadata", r#"{"plan":"pro","seats":12}"#),
    ("time", "2026-01-01Z"),
    ("key", "key_01h2xcejqtf2nbrexx3vqjhp41"),
    (
        "changes",
        r#"{"status":{"to":"active"},"email":{"to":"123456789012@example.com"},"name":{"to":"Customer 1000"},"external_id":{"to":"123456789012"},"metadata":{"to":{"plan":"pro","seats":12}}}"#,
    ),
];

/// The scripts of `pgbench` for one database.
pub struct Pgbench {
    url: String,
    folder: PathBuf,
}

impl Pgbench {
    /// Writes the scripts for `database` to `folder`.
    pub fn prepare(database: &Database, folder: &Path) -> anyhow::Result<Self> {
        let pgbench = Self { url: database.url.clone(), folder: folder.to_owned() };
        for script in &SCRIPTS {
            fs::write(pgbench.path(script.operation), script.text(database.dataset))?;
        }
        Ok(pgbench)
    }

    fn path(&self, operation: Operation) -> PathBuf {
        self.folder.join(format!("{}.pgbench", operation.name()))
    }

    /// Runs the script of `operation` for `seconds` and returns the number of operations per second. `number` must be
    /// different for each run.
    ///
    /// # Errors
    /// If pgbench fails, or has no script for `operation`.
    pub fn run(&self, operation: Operation, clients: u32, seconds: u32, number: u32) -> anyhow::Result<f64> {
        let threads = if clients == 1 { "1" } else { "2" };
        let mut command = process::child_command("pgbench");
        command.args(["--no-vacuum", "--protocol", "prepared", "--jobs", threads, "--file"]).arg(self.path(operation));
        command.args(["--client", &clients.to_string(), "--time", &seconds.to_string()]);
        command.args(["--define", &format!("run={}", 1000 + number), "--define", "count=0"]);
        for (name, text) in TEXTS {
            command.args(["--define", &format!("{name}={text}")]);
        }
        command.arg(&self.url).env(SESSION_OPTIONS.0, SESSION_OPTIONS.1);
        let printed = process::output(&mut command, Duration::from_secs(u64::from(seconds) + 60))?;
        per_second(&printed).with_context(|| format!("the output of pgbench has no result:\n{printed}"))
    }
}

impl Script {
    fn text(&self, dataset: Dataset) -> String {
        let (customer, variables) = (any_customer(dataset), self.variables);
        format!("{customer}{variables}{};\n", fill_in(self.statement, self.parameters))
    }
}

/// Sets a random customer number and the number of its merchant.
fn any_customer(dataset: Dataset) -> String {
    let last = FIRST_CUSTOMER + dataset.customers - 1;
    let merchant = dataset.merchant_expression(":n");
    format!("\\set n random({FIRST_CUSTOMER}, {last})\n\\set merchant {merchant}\n")
}

/// Replaces `$1`, `$2` and so on with values.
fn fill_in(statement: &str, parameters: &[(&str, &str)]) -> String {
    let merchant = format!("('{MERCHANT_ID}' || :merchant)");
    let customer = format!("('{}' || :n || '{}')", CUSTOMER_ID.0, CUSTOMER_ID.1);
    let mut filled = statement.trim_end().to_owned();
    // From the last to the first: otherwise `$1` would also replace the beginning of `$12`.
    for (number, (value, kind)) in (1..).zip(parameters).collect::<Vec<_>>().into_iter().rev() {
        let value = value.replace("MERCHANT", &merchant).replace("CUSTOMER", &customer);
        filled = filled.replace(&format!("${number}"), &format!("{value}::{kind}"));
    }
    filled
}

/// Transactions per second, without the time to connect. If there was no transaction, pgbench prints only their number.
fn per_second(printed: &str) -> Option<f64> {
    let value = |name| printed.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next()?.parse().ok());
    value("tps = ").or_else(|| value("number of transactions actually processed: ").filter(|count| *count == 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;
    use roster_application::ports::{
        CustomerKey, CustomerQuery, CustomerRef, CustomerState, EventQuery, ListOrder, Store, StoreError, Write,
    };
    use roster_domain::{
        Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId, MerchantName, Profile,
        Tenant, Timestamp,
    };
    use roster_test_postgres::{Cluster, ClusterOptions};
    use uuid::Uuid;

    fn statement(operation: Operation) -> &'static str {
        let script = SCRIPTS.iter().find(|script| script.operation == operation);
        script.expect("pgbench has a script for it").statement.trim_end()
    }

    /// Every statement that the service runs to insert one customer, to get it by its identifier and to list a page.
    fn statements_of_the_service(cluster: &Cluster) -> Vec<String> {
        let (store, Database { url, .. }) = Database::small(cluster);
        let log_all = "ALTER ROLE CURRENT_USER SET log_statement = 'all'";
        let mut connection = PgConnection::establish(&url).expect("a server");
        // The service has no such statement, so only PostgreSQL can check it.
        let update = format!("PREPARE update_by_hand AS {}", statement(Operation::Update));
        connection.batch_execute(&update).expect("the columns of a customer");
        connection.batch_execute(log_all).expect("a superuser");
        let now = Timestamp::from_millis(0).expect("a time");
        let merchant = Merchant {
            id: MerchantId::new(Uuid::from_u128(1)),
            name: MerchantName::parse("Ada").expect("a name"),
            created_at: now,
            disabled_at: None,
        };
        let tenant = Tenant { merchant: merchant.id, environment: Environment::Live };
        let profile = Profile {
            email: Email::parse("ada@example.com").ok(),
            external_id: ExternalId::parse("ada").ok(),
            ..Profile::default()
        };
        let id = CustomerId::new(Uuid::from_u128(2));
        let write = Write::create(Customer::register(tenant, id, profile, EmailUse::Exclusive, now));
        let key = CustomerKey { tenant, customer: CustomerRef::Id(id) };
        let page = CustomerQuery::newest(tenant, 26);
        let store: &dyn Store = &store;
        store
            .direct(|uow| {
                uow.merchants().insert(&merchant)?;
                uow.customers().write(std::slice::from_ref(&write))?;
                uow.customers().find(CustomerState::Live, std::slice::from_ref(&key))?;
                uow.customers().list(&page)?;
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
    fn the_statements_are_those_that_the_service_prepares() {
        let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
        let statements = statements_of_the_service(&cluster);
        for operation in [Operation::Get, Operation::Create, Operation::List] {
            let expected = without_columns(statement(operation));
            let is_prepared = statements.iter().any(|statement| without_columns(statement) == expected);
            assert!(is_prepared, "{operation:?}: {statements:#?}");
        }
    }

    #[test]
    fn the_service_reads_the_log_that_pgbench_writes() {
        let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
        let (store, database) = Database::small(&cluster);
        let store: &dyn Store = &store;
        let folder = tempfile::tempdir().expect("a folder");
        let pgbench = Pgbench::prepare(&database, folder.path()).expect("a folder");
        let written = [Operation::Create, Operation::Update].map(|operation| {
            assert!(pgbench.run(operation, 1, 1, 1).expect("a result") > 0.0, "{operation:?}");
            let merchant = database.dataset.merchant_ids().next().expect("a merchant");
            let query = EventQuery {
                tenant: Tenant { merchant, environment: Environment::Live },
                customer: None,
                kind: None,
                order: ListOrder::Descending,
                first: 1,
                last: i64::MAX,
                limit: 1,
            };
            store.direct(|uow| uow.events().list(&query)).expect("events").pop().expect("one").kind.as_str()
        });
        assert_eq!(written, ["customer.created", "customer.updated"]);
    }

    /// The statement with its lists of columns and of parameters left out: a new column must not change the benchmark.
    fn without_columns(statement: &str) -> String {
        let selected = |table: &str| {
            let from = format!(" FROM {table} ");
            let (head, rest) = statement.split_once(&from)?;
            head.starts_with("SELECT ").then(|| format!("SELECT *{from}{rest}"))
        };
        if let Some(selected) = selected("\"customers\"").or_else(|| selected("customers")) {
            return selected;
        }
        let is_column = |item: &&str| item.chars().all(|c| c.is_ascii_alphanumeric() || "_.$".contains(c));
        let mut numberless = String::new();
        for part in statement.split_inclusive('$') {
            numberless.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        numberless.split(", ").filter(|item| !is_column(item)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_parameter_is_replaced() {
        let dataset = Dataset { customers: 10, merchants: 2 };
        for script in SCRIPTS.map(|script| script.text(dataset)) {
            assert!(!script.contains('$'), "{script}");
        }
    }

    #[test]
    fn the_output_of_pgbench_is_read() {
        let printed = "latency average = 0.028 ms\ntps = 35123.4 (without initial connection time)\n";
        assert_eq!(per_second(printed), Some(35123.4));
        assert_eq!(per_second("number of transactions actually processed: 0\n"), Some(0.0));
        assert_eq!(per_second("nothing"), None);
    }
}
