//! Whatever happens in a crowd, each gets what they would have got had they come one after the other.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use roster_application::ports::{
    ApiKeyRepository, Claims, CustomerKey, CustomerRef, CustomerRepository, MerchantRepository, Store, StoreError,
    SubscriptionRepository, Taken, UnitOfWork, Verdict, Work,
};
use roster_application::{RegisterError, Registration, Roster};
use roster_domain::{
    Customer, CustomerId, Email, EmailUse, Environment, ExternalId, MerchantName, Name, Profile, Tenant,
};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};

use super::callers::Callers;
use super::{Core, Handle, NotDone, Reads};

const DEADLINE: Duration = Duration::from_secs(50);

/// Makes the store fail or panic whenever its customer, or whoever looks for it, is part of what is asked.
const FAILS: &str = "fails";
const PANICS: &str = "panics";
/// Makes the store wait until the test opens the gate.
const WAITS: &str = "waits";

#[derive(Debug, Clone)]
struct Request {
    tenant: usize,
    /// Few, so that many claim the same.
    email: Option<u8>,
    external_id: Option<u8>,
    email_use: EmailUse,
    fault: Option<&'static str>,
    /// Whether the caller goes away before it is answered.
    leaves: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let fault = prop_oneof![18 => Just(None), 1 => Just(Some(FAILS)), 1 => Just(Some(PANICS))];
    let email_use = prop_oneof![3 => Just(EmailUse::Exclusive), 1 => Just(EmailUse::Shared)];
    let claims = (prop::option::of(0..6_u8), prop::option::of(0..6_u8));
    (0..3_usize, claims, email_use, fault, prop::bool::weighted(0.1)).prop_map(
        |(tenant, (email, external_id), email_use, fault, leaves)| Request {
            tenant,
            email,
            external_id,
            email_use,
            fault,
            leaves,
        },
    )
}

impl Request {
    fn registration(&self, tenants: &[Tenant]) -> Registration {
        let profile = Profile {
            email: self.email.map(|email| Email::parse(&format!("{email}@example.com")).expect("an address")),
            external_id: self.external_id.map(|id| external_id(&id.to_string())),
            name: self.fault.map(|fault| Name::parse(fault).expect("a name")),
            ..Profile::default()
        };
        Registration { tenant: tenants[self.tenant], profile, email_use: self.email_use }
    }

    /// Whom it looks for, once everybody is registered.
    fn key(&self, tenants: &[Tenant]) -> CustomerKey {
        let name = self.external_id.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
        let wanted = external_id(self.fault.unwrap_or(&name));
        CustomerKey { tenant: tenants[self.tenant], customer: CustomerRef::ExternalId(wanted) }
    }
}

fn external_id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("an external identifier")
}

fn waiting_registration(tenants: &[Tenant]) -> Registration {
    let profile = Profile { name: Some(Name::parse(WAITS).expect("a name")), ..Profile::default() };
    Registration { tenant: tenants[0], profile, email_use: EmailUse::Exclusive }
}

fn waiting_key(tenants: &[Tenant]) -> CustomerKey {
    CustomerKey { tenant: tenants[0], customer: CustomerRef::ExternalId(external_id(WAITS)) }
}

/// What an answer comes down to.
#[derive(Debug, PartialEq)]
enum Answer {
    Customer(Box<Customer>),
    Nobody,
    Taken(Taken),
    Failed,
}

impl Answer {
    fn of_registration(result: Result<Customer, RegisterError>) -> Self {
        match result {
            Ok(customer) => Self::Customer(Box::new(customer)),
            Err(RegisterError::Taken(taken)) => Self::Taken(taken),
            Err(RegisterError::Store(_)) => Self::Failed,
        }
    }

    fn of_find(result: Result<Option<Customer>, StoreError>) -> Self {
        match result {
            Ok(Some(customer)) => Self::Customer(Box::new(customer)),
            Ok(None) => Self::Nobody,
            Err(_) => Self::Failed,
        }
    }
}

/// A service over a store with faults, the way to open its gate, and the tenants that it knows.
fn service(gate: Gate) -> (Roster, Vec<Tenant>) {
    let store = FaultyStore { rows: MemoryStore::default(), gate };
    let roster = Roster::new(
        Arc::new(store),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    );
    let merchant = |name| roster.create_merchant(MerchantName::parse(name).expect("a name")).expect("a merchant").id;
    let (one, other) = (merchant("One"), merchant("Other"));
    let tenant = |merchant, environment| Tenant { merchant, environment };
    let tenants =
        vec![tenant(one, Environment::Live), tenant(one, Environment::Sandbox), tenant(other, Environment::Live)];
    (roster, tenants)
}

/// What each of `requests` is answered, by one after the other: first all who register, then all who look.
fn one_after_the_other(requests: &[Request]) -> Vec<Answer> {
    let (gate, keeper) = gate();
    drop(keeper);
    let (roster, tenants) = service(gate);
    let register = |registration| Answer::of_registration(roster.register_customers(vec![registration]).remove(0));
    register(waiting_registration(&tenants));
    let staying = || requests.iter().filter(|request| !request.leaves);
    let registered: Vec<_> = staying().map(|request| register(request.registration(&tenants))).collect();
    let found = staying().map(|request| Answer::of_find(roster.find_customers(&[request.key(&tenants)]).remove(0)));
    registered.into_iter().chain(found).collect()
}

/// What each of `requests` is answered if all of them come while the thread is busy, or, those that look and are served
/// here, in one turn of the event loop.
fn all_at_once(requests: &[Request], reads: Reads) -> Vec<Answer> {
    let (gate, keeper) = gate();
    let (roster, tenants) = service(gate);
    let core = Core::start(&roster, 1, 1000, DEADLINE, reads).expect("threads");
    let handle = core.entrance().handle();
    let answers = actix_web::rt::System::new().block_on(async {
        let register = |registration| register(&handle, registration);
        let registrations = requests.iter().map(|request| register(request.registration(&tenants)));
        let registered = behind(register(waiting_registration(&tenants)), registrations, requests, &keeper).await;
        let finds = requests.iter().map(|request| find(&handle, request.key(&tenants)));
        let found = match reads {
            Reads::ByThreads => behind(find(&handle, waiting_key(&tenants)), finds, requests, &keeper).await,
            Reads::Here => in_time(Callers::ask(finds.zip(leaves(requests)), 1).answers().await),
        };
        registered.into_iter().chain(found).collect()
    });
    core.stop(DEADLINE);
    answers
}

async fn register(handle: &Handle, registration: Registration) -> Result<Answer, NotDone> {
    handle.register_customer(registration).await.map(Answer::of_registration)
}

async fn find(handle: &Handle, key: CustomerKey) -> Result<Answer, NotDone> {
    handle.find_customer(key).await.map(Answer::of_find)
}

/// Starts `calls` while the thread is held by `busy`, lets those go who leave, and gives the answers of the others.
async fn behind<F: Future<Output = Result<Answer, NotDone>>>(
    busy: F,
    calls: impl Iterator<Item = F>,
    requests: &[Request],
    keeper: &Keeper,
) -> Vec<Answer> {
    let mut busy = Box::pin(busy);
    assert!(busy.as_mut().now_or_never().is_none());
    keeper.reached.recv().expect("the store waits");
    let callers = Callers::ask(calls.zip(leaves(requests)), 0);
    keeper.open.send(()).expect("the store waits for it");
    busy.await.expect("an answer in time");
    in_time(callers.answers().await)
}

fn leaves(requests: &[Request]) -> impl Iterator<Item = bool> {
    requests.iter().map(|request| request.leaves)
}

fn in_time(answers: Vec<Result<Answer, NotDone>>) -> Vec<Answer> {
    answers.into_iter().map(|answer| answer.expect("an answer in time")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn each_of_a_crowd_is_answered_as_if_they_had_come_one_after_the_other(
        requests in prop::collection::vec(request(), 0..40)
    ) {
        let expected = one_after_the_other(&requests);
        for reads in [Reads::ByThreads, Reads::Here] {
            prop_assert_eq!(&all_at_once(&requests, reads), &expected, "{:?}", reads);
        }
    }
}

/// A batch in which many share keys is written in runs. When a late one fails, those before it are not tried again: they
/// would meet customers that came behind them.
#[test]
fn who_is_refused_hears_nothing_of_those_behind_when_a_later_one_fails() {
    let plain = Request {
        tenant: 0,
        email: None,
        external_id: None,
        email_use: EmailUse::Exclusive,
        fault: None,
        leaves: false,
    };
    let requests = [
        Request { external_id: Some(4), ..plain.clone() },
        Request { external_id: Some(4), email: Some(0), ..plain.clone() },
        Request { email: Some(0), ..plain.clone() },
        Request { email: Some(0), fault: Some(FAILS), ..plain },
    ];
    assert_eq!(all_at_once(&requests, Reads::ByThreads), one_after_the_other(&requests));
}

/// Where the store waits for the test, and the test for the store. Each is open where the other side is gone.
struct Gate {
    reached: Sender<()>,
    opened: Mutex<Receiver<()>>,
}

impl Gate {
    fn wait(&self) {
        let _nobody = self.reached.send(());
        let _nobody = self.opened.lock().expect("no panic before").recv();
    }
}

/// The other side of a [`Gate`].
struct Keeper {
    reached: Receiver<()>,
    open: Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let ((reached, is_reached), (open, opened)) = (mpsc::channel(), mpsc::channel());
    (Gate { reached, opened: Mutex::new(opened) }, Keeper { reached: is_reached, open })
}

/// The memory store, with the faults that requests ask for.
struct FaultyStore {
    rows: MemoryStore,
    gate: Gate,
}

impl Store for FaultyStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.rows.run_transaction(work)
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.rows.run_direct(&mut |uow| -> Verdict { work(&mut FaultyUnitOfWork { uow, gate: &self.gate }) })
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.rows.ping()
    }
}

struct FaultyUnitOfWork<'a> {
    uow: &'a mut dyn UnitOfWork,
    gate: &'a Gate,
}

impl FaultyUnitOfWork<'_> {
    fn meet_faults<'a>(&self, words: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
        for word in words {
            match word {
                FAILS => return Err(StoreError::internal("on purpose")),
                // As a panic does, but without a word on standard error.
                PANICS => std::panic::resume_unwind(Box::new("on purpose")),
                WAITS => self.gate.wait(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl UnitOfWork for FaultyUnitOfWork<'_> {
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }

    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository {
        self.uow.subscriptions()
    }

    fn merchants(&mut self) -> &mut dyn MerchantRepository {
        self.uow.merchants()
    }

    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self.uow.api_keys()
    }
}

impl CustomerRepository for FaultyUnitOfWork<'_> {
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError> {
        self.meet_faults(customers.iter().filter_map(|customer| Some(customer.profile().name.as_ref()?.as_str())))?;
        self.uow.customers().insert_free(customers)
    }

    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError> {
        self.uow.customers().taken(claims)
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.meet_faults(keys.iter().filter_map(|key| match &key.customer {
            CustomerRef::Id(_) => None,
            CustomerRef::ExternalId(id) => Some(id.as_str()),
        }))?;
        self.uow.customers().find(keys)
    }

    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
        self.uow.customers().lock(key)
    }

    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError> {
        self.uow.customers().update(customer, claims)
    }

    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Result<Vec<Customer>, StoreError> {
        self.uow.customers().list(tenant, before, limit)
    }
}
