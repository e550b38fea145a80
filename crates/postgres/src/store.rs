use std::fmt;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::r2d2::R2D2Connection as _;
use roster_application::ports::{Store, StoreError, Verdict, Work, rerun_lost_races};

use crate::conninfo::Conninfo;
use crate::migrations;
use crate::pool::{Connector, Pool};
use crate::unit_of_work::PostgresUnitOfWork;

/// How to reach a database.
#[derive(Clone)]
pub struct Options {
    /// A connection string of libpq: `postgresql://user:password@host:port/database`, or `key=value` pairs.
    pub url: String,
    /// The most connections held at a time, at least one.
    pub connections: u32,
    /// How long to wait for a connection, from the pool or being made. More than nothing.
    pub wait: Duration,
}

impl fmt::Debug for Options {
    /// Leaves out the URL, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// A PostgreSQL database.
pub struct PostgresStore {
    pool: Pool,
    /// For work that has a connection, and time, of its own.
    connector: Connector,
}

impl PostgresStore {
    /// Makes the store, and no connection yet: the first call that needs one finds out whether the database is there.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if an option is unusable; the source says which, and does not repeat the URL.
    pub fn connect(options: &Options) -> Result<Self, StoreError> {
        let conninfo = Conninfo::parse(&options.url, options.wait).map_err(StoreError::internal)?;
        let pool = Pool::new(Connector::new(conninfo.clone()), options.connections, options.wait)?;
        Ok(Self { pool, connector: Connector::new(conninfo) })
    }

    /// Applies the migrations that are missing, in order, and returns their names. Any number of instances may do so
    /// at the same time: one does it, the others wait and find it done.
    ///
    /// # Errors
    /// [`StoreError`]. Each migration is applied whole or not at all.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        migrations::migrate(&mut self.connector.establish().map_err(StoreError::unavailable)?)
    }

    /// The names of the migrations that are missing, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        migrations::pending(&mut self.connector.establish().map_err(StoreError::unavailable)?)
    }

    fn try_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut session = self.pool.get()?;
        session.run(|connection| Ok(AnsiTransactionManager::begin_transaction(connection)?))?;
        let mut unit_of_work = PostgresUnitOfWork::in_transaction(&mut session);
        let verdict = work(&mut unit_of_work);
        let outcome = unit_of_work.finish();
        if outcome.is_ok() && verdict == Verdict::Commit {
            return session.run(|connection| Ok(AnsiTransactionManager::commit_transaction(connection)?));
        }
        // If this fails, so has the connection, which is as good: what is not committed is undone.
        let _ = session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?));
        outcome
    }
}

impl Store for PostgresStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        rerun_lost_races(|| self.try_transaction(work))
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut session = self.pool.get()?;
        let mut unit_of_work = PostgresUnitOfWork::direct(&mut session);
        work(&mut unit_of_work);
        unit_of_work.finish()
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.pool.get()?.run(|connection| Ok(connection.ping()?))
    }
}

#[cfg(test)]
mod tests {
    use diesel::dsl::sql;
    use diesel::prelude::*;
    use diesel::sql_types::{BigInt, Text};
    use roster_application::Digest;
    use roster_application::ports::{Claims, CustomerKey, CustomerRef, UnitOfWork};
    use roster_domain::{
        Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId, MerchantName, Profile,
        Tenant, Timestamp,
    };
    use roster_test_postgres::{Database, database};
    use uuid::Uuid;

    use super::*;
    use crate::pool::Session;

    const TENANT: Tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Sandbox };

    fn customer(number: u128) -> Customer {
        let profile = Profile {
            email: Email::parse(&format!("customer{number}@example.com")).ok(),
            external_id: ExternalId::parse(format!("customer {number}")).ok(),
            ..Profile::default()
        };
        let now = Timestamp::from_millis(0).expect("a time");
        Customer::register(TENANT, CustomerId::new(Uuid::from_u128(number)), profile, EmailUse::Exclusive, now)
    }

    /// A hot operation on customers that are there.
    type Operation = fn(&mut dyn UnitOfWork, &[Customer]) -> Result<(), StoreError>;

    const OPERATIONS: [(&str, Operation); 9] = [
        ("insert", |uow, customers| uow.customers().insert(customers).map(drop)),
        ("find by id", |uow, customers| {
            let keys: Vec<CustomerKey> = customers.iter().map(by_id).collect();
            uow.customers().find(&keys).map(drop)
        }),
        ("find by external id", |uow, customers| {
            let keys: Vec<CustomerKey> = customers.iter().map(by_external_id).collect();
            uow.customers().find(&keys).map(drop)
        }),
        ("lock by id", |uow, customers| uow.customers().lock(&by_id(&customers[0])).map(drop)),
        ("lock by external id", |uow, customers| uow.customers().lock(&by_external_id(&customers[0])).map(drop)),
        ("update", |uow, customers| uow.customers().update(&customers[0], &Claims::of_new(&customers[0]))),
        ("list", |uow, customers| uow.customers().list(TENANT, None, customers.len()).map(drop)),
        ("current subscriptions", |uow, customers| {
            let ids: Vec<(Tenant, CustomerId)> = customers.iter().map(|customer| (TENANT, customer.id())).collect();
            uow.subscriptions().current(&ids).map(drop)
        }),
        ("find API keys", |uow, customers| uow.api_keys().find(&vec![Digest([0; 32]); customers.len()]).map(drop)),
    ];

    fn by_id(customer: &Customer) -> CustomerKey {
        CustomerKey { tenant: TENANT, customer: CustomerRef::Id(customer.id()) }
    }

    fn by_external_id(customer: &Customer) -> CustomerKey {
        let id = customer.profile().external_id.clone().expect("all have one");
        CustomerKey { tenant: TENANT, customer: CustomerRef::ExternalId(id) }
    }

    /// Makes `size` customers and does everything to them.
    fn use_all(uow: &mut dyn UnitOfWork, first: u128, size: usize) -> Result<(), StoreError> {
        let customers: Vec<Customer> = (first..).take(size).map(customer).collect();
        uow.customers().insert(&customers)?;
        OPERATIONS.iter().try_for_each(|(_, operation)| operation(uow, &customers))
    }

    /// A database, and a store with one connection over it that knows one merchant.
    fn start() -> Option<(Database, PostgresStore)> {
        let database = database()?;
        let options = Options { url: database.url().to_owned(), connections: 1, wait: Duration::from_secs(20) };
        let store = PostgresStore::connect(&options).expect("the options are usable");
        store.migrate().expect("the migrations apply");
        let name = MerchantName::parse("Ada").expect("a name");
        let merchant = Merchant { id: TENANT.merchant, name, created_at: Timestamp::from_millis(0).expect("a time") };
        direct(&store, |uow| uow.merchants().insert(&merchant));
        Some((database, store))
    }

    fn direct<T>(store: &dyn Store, work: impl FnMut(&mut dyn UnitOfWork) -> Result<T, StoreError>) -> T {
        store.direct(work).expect("the database is there")
    }

    /// The statements that the one connection of the store has prepared.
    fn prepared(store: &PostgresStore) -> Vec<String> {
        let query = sql::<Text>("SELECT statement FROM pg_prepared_statements ORDER BY statement");
        let mut session = store.pool.get().expect("a connection");
        session.run(|connection| Ok(query.load(connection)?)).expect("a list")
    }

    /// The rows of customers that `work` makes the database look at.
    fn rows_read(store: &PostgresStore, work: impl Fn(&mut dyn UnitOfWork) -> Result<(), StoreError>) -> i64 {
        let mut session = store.pool.get().expect("a connection");
        // The figures stand still, but for what the transaction does. It ends here, so that the next one has the same
        // connection.
        session.run(|connection| Ok(AnsiTransactionManager::begin_transaction(connection)?)).expect("a transaction");
        let before = rows_read_so_far(&mut session);
        work(&mut PostgresUnitOfWork::in_transaction(&mut session)).expect("the database is there");
        let read = rows_read_so_far(&mut session) - before;
        session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?)).expect("its end");
        read
    }

    fn rows_read_so_far(session: &mut Session) -> i64 {
        let query = sql::<BigInt>(
            "SELECT (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables WHERE relname = 'customers'",
        );
        session.run(|connection| Ok(query.get_result(connection)?)).expect("a number")
    }

    #[test]
    fn a_statement_is_prepared_once_however_many_rows_it_is_for() {
        let Some((_database, store)) = start() else { return };
        direct(&store, |uow| use_all(uow, 1, 1));
        direct(&store, |uow| use_all(uow, 100, 2));
        let first = prepared(&store);
        let of_batches = first.iter().filter(|statement| statement.contains("unnest")).count();
        assert_eq!((of_batches, first.len()), (5, 17), "{first:#?}");
        for (start, size) in [(200, 1), (300, 3), (400, 64)] {
            direct(&store, |uow| use_all(uow, start, size));
        }
        assert_eq!(prepared(&store), first);
    }

    #[test]
    fn a_statement_first_run_on_an_empty_table_reads_no_more_than_it_must_when_that_has_grown() {
        let Some((_database, store)) = start() else { return };
        // Often enough for PostgreSQL to settle on plans. Nobody analyses the tables of a test.
        for round in 0..10 {
            direct(&store, |uow| use_all(uow, 1 + 10 * round, 1));
            direct(&store, |uow| use_all(uow, 2 + 10 * round, 3));
        }
        let many: Vec<Customer> = (1000..4000).map(customer).collect();
        direct(&store, |uow| uow.customers().insert(&many).map(drop));
        for (name, operation) in OPERATIONS {
            for batch in [&many[..1], &many[..64]] {
                let read = rows_read(&store, |uow| operation(uow, batch));
                // An insert of one that is there looks three times at three indexes.
                let most = i64::try_from(9 * batch.len()).expect("a small number");
                assert!(read <= most, "{name} of {}: {read} rows", batch.len());
            }
        }
    }
}
