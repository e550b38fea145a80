//! Requests that come together are answered as if they had come one after the other.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all, select_all};
use proptest::prelude::*;
use roster_application::ports::{
    CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, StoreError, Taken, Write,
};
use roster_application::{
    CustomerChange, CustomerCommand, CustomerDeletion, CustomerPage, Operation as By, Precondition, Registration,
    Roster, WriteError,
};
use roster_domain::{
    Customer, CustomerEdit, Edit, Email, EmailUse, Environment, ExternalId, MerchantName, Name, Profile, Tenant,
};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, InterceptedStore, Interceptor};

use crate::operations::PART;
use crate::test_callers::{Callers, block_on};
use crate::{ExecuteError, Executor, Handle, Reads, RequestReads, Settings};

const DEADLINE: Duration = Duration::from_secs(50);

const SETTINGS: Settings =
    Settings { threads: 1, writers: 1, queue: 1000, deadline: DEADLINE, reads: Reads::ByWorkers };

/// The store fails on each batch with a customer of this name, or a key with this external identifier.
const FAILS: &str = "fails";
/// It panics.
const PANICS: &str = "panics";
/// It waits until the test opens the gate.
const WAITS: &str = "waits";

/// What one caller asks for: to register a customer, then to rename or to delete one, then to find one.
#[derive(Debug, Clone)]
struct Request {
    tenant: usize,
    /// There are few identifiers, so that many requests claim the same.
    email: Option<u8>,
    external_id: Option<u8>,
    email_use: EmailUse,
    /// The new name of the customer with the external identifier; `None` deletes it.
    rename: Option<u8>,
    fault: Option<&'static str>,
    /// Whether the caller goes away before it is answered.
    goes_away: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let fault = prop_oneof![18 => Just(None), 1 => Just(Some(FAILS)), 1 => Just(Some(PANICS))];
    let email_use = prop_oneof![3 => Just(EmailUse::Exclusive), 1 => Just(EmailUse::Shared)];
    let claims = (prop::option::of(0..6_u8), prop::option::of(0..6_u8));
    let rename = prop::option::of(0..3_u8);
    (0..3_usize, claims, email_use, rename, fault, prop::bool::weighted(0.1)).prop_map(
        |(tenant, (email, external_id), email_use, rename, fault, goes_away)| Request {
            tenant,
            email,
            external_id,
            email_use,
            rename,
            fault,
            goes_away,
        },
    )
}

impl Request {
    fn registration(&self, tenants: &[Tenant]) -> CustomerCommand {
        let profile = Profile {
            email: self.email.map(|email| Email::parse(&format!("{email}@example.com")).expect("an address")),
            external_id: self.external_id.map(|id| external_id(&id.to_string())),
            name: self.fault.map(name),
            ..Profile::default()
        };
        CustomerCommand::Register(Registration { tenant: tenants[self.tenant], profile, email_use: self.email_use })
    }

    fn update(&self, tenants: &[Tenant]) -> CustomerCommand {
        let key = self.key(tenants);
        match self.rename {
            Some(new) => rename(key, &new.to_string()),
            None => CustomerCommand::Delete(CustomerDeletion { key, precondition: Precondition::default() }),
        }
    }

    fn key(&self, tenants: &[Tenant]) -> CustomerKey {
        let id = self.external_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        by_external_id(tenants[self.tenant], self.fault.unwrap_or(&id))
    }
}

fn external_id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("an external identifier")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn by_external_id(tenant: Tenant, id: &str) -> CustomerKey {
    CustomerKey { tenant, customer: CustomerRef::ExternalId(external_id(id)) }
}

fn rename(key: CustomerKey, new: &str) -> CustomerCommand {
    let edit = CustomerEdit { name: Edit::Set(name(new)), ..CustomerEdit::default() };
    CustomerCommand::Change(CustomerChange { key, edit, precondition: Precondition::default() })
}

fn register(tenant: Tenant, profile: Profile) -> CustomerCommand {
    CustomerCommand::Register(Registration { tenant, profile, email_use: EmailUse::Exclusive })
}

fn with_name(text: &str) -> Profile {
    Profile { name: Some(name(text)), ..Profile::default() }
}

/// What a caller learns from its answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Customer(Box<Customer>),
    NotFound,
    Taken(Taken),
    Failed,
}

impl Answer {
    fn of_write(result: Result<Write, WriteError>) -> Self {
        match result {
            Ok(write) => Self::Customer(Box::new(write.into_customer())),
            Err(WriteError::NotFound) => Self::NotFound,
            Err(WriteError::Taken(taken)) => Self::Taken(taken),
            Err(
                WriteError::PreconditionFailed(_)
                | WriteError::Metadata(_)
                | WriteError::KeyReused
                | WriteError::Store(_),
            ) => Self::Failed,
        }
    }

    fn of_find(result: Result<Option<Customer>, StoreError>) -> Self {
        match result {
            Ok(Some(customer)) => Self::Customer(Box::new(customer)),
            Ok(None) => Self::NotFound,
            Err(_) => Self::Failed,
        }
    }
}

/// A service over a store with faults.
fn service(gate: Gate) -> Roster {
    Roster::new(
        Arc::new(InterceptedStore::new(gate)),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    )
}

/// Three tenants, two of them of one merchant.
fn tenants(roster: &Roster) -> Vec<Tenant> {
    let one = new_tenant(roster);
    vec![one, Tenant { environment: Environment::Sandbox, ..one }, new_tenant(roster)]
}

fn new_tenant(roster: &Roster) -> Tenant {
    let merchant = roster
        .create_merchant(MerchantName::parse("Ada & Co").expect("a name"), &By::COMMAND_LINE)
        .expect("a merchant");
    Tenant { merchant: merchant.id, environment: Environment::Live }
}

/// The answers to `requests` if each waits for the one before it.
fn one_after_the_other(requests: &[Request]) -> Vec<Answer> {
    let (gate, test) = gate();
    drop(test);
    let roster = service(gate);
    let tenants = tenants(&roster);
    let write = |command| Answer::of_write(roster.write_customers(vec![command]).remove(0).result);
    let find = |key| Answer::of_find(roster.find_customers(&[key]).remove(0));
    let answered = || requests.iter().filter(|request| !request.goes_away);
    write(register(tenants[0], with_name(WAITS)));
    let mut answers: Vec<Answer> = answered().map(|request| write(request.registration(&tenants))).collect();
    write(register(tenants[0], with_name(WAITS)));
    answers.extend(answered().map(|request| write(request.update(&tenants))));
    answers.extend(answered().map(|request| find(request.key(&tenants))));
    answers
}

/// The answers to `requests` if all wait at the same time: for a busy thread, or, where the calling thread reads, for
/// their turn.
fn all_at_once(requests: &[Request], reads: Reads) -> Vec<Answer> {
    let (gate, test) = gate();
    let roster = service(gate);
    let tenants = tenants(&roster);
    let executor = Executor::start(&roster, Settings { reads, ..SETTINGS }).expect("threads");
    let handle = executor.handles().handle();
    let write =
        |command| handle.write_customer(command).map(|result| result.map(|answer| Answer::of_write(answer.result)));
    let latest = RequestReads::default();
    let find = |key| handle.find_customer(&latest, key).map(|result| result.map(Answer::of_find));
    let busy = || write(register(tenants[0], with_name(WAITS)));
    let goes_away = || requests.iter().map(|request| request.goes_away);
    let answers = block_on(async {
        let registrations = requests.iter().map(|request| write(request.registration(&tenants)));
        let mut answers = test.behind(busy(), registrations.zip(goes_away())).await;
        let updates = requests.iter().map(|request| write(request.update(&tenants)));
        answers.extend(test.behind(busy(), updates.zip(goes_away())).await);
        let finds = requests.iter().map(|request| find(request.key(&tenants))).zip(goes_away());
        answers.extend(match reads {
            Reads::ByWorkers | Reads::ByWorkersOfTenants => {
                test.behind(find(by_external_id(tenants[0], WAITS)), finds).await
            }
            Reads::ByCallers => Callers::start(finds, 1).answers().await,
        });
        answers
    });
    executor.stop(DEADLINE);
    answers.into_iter().map(|answer| answer.expect("an answer in time")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn requests_that_come_together_are_answered_as_if_they_had_come_one_after_the_other(
        requests in prop::collection::vec(request(), 0..40)
    ) {
        let expected = one_after_the_other(&requests);
        for reads in [Reads::ByWorkers, Reads::ByCallers] {
            prop_assert_eq!(&all_at_once(&requests, reads), &expected, "{:?}", reads);
        }
    }
}

/// If a batch fails, its commands are tried one by one. None may see what a later one did at the first try.
#[test]
fn a_refused_registration_does_not_depend_on_later_ones_if_one_of_them_fails() {
    let plain = Request {
        tenant: 0,
        email: None,
        external_id: None,
        email_use: EmailUse::Exclusive,
        rename: None,
        fault: None,
        goes_away: false,
    };
    let requests = [
        Request { external_id: Some(4), ..plain.clone() },
        Request { external_id: Some(4), email: Some(0), ..plain.clone() },
        Request { email: Some(0), ..plain.clone() },
        Request { email: Some(0), fault: Some(FAILS), ..plain },
    ];
    assert_eq!(all_at_once(&requests, Reads::ByWorkers), one_after_the_other(&requests));
}

/// Pages that wait together are read with one call, and others by themselves.
#[test]
fn plain_pages_that_wait_together_are_read_together() {
    for reads in [Reads::ByWorkers, Reads::ByWorkersOfTenants] {
        let (gate, test) = gate();
        let listed = Arc::clone(&gate.listed);
        let roster = service(gate);
        let tenants = tenants(&roster);
        let executor = Executor::start(&roster, Settings { reads, ..SETTINGS }).expect("threads");
        let handle = executor.handles().handle();
        let latest = RequestReads::default();
        let numbers = block_on(async {
            for &tenant in &tenants {
                for _ in 0..3 {
                    let written = handle.write_customer(register(tenant, Profile::default())).await;
                    assert!(written.expect("an answer in time").result.is_ok());
                }
            }
            let list = |tenant, limit, with_total| {
                let query = CustomerQuery::newest(tenant, limit);
                let then = |_: &Roster, page: CustomerPage| Ok(page.customers.len());
                let page = handle.list_customers(&latest, query, with_total, then);
                async move { page.await.expect("an answer in time").expect("a page") }
            };
            let waits = by_external_id(tenants[0], WAITS);
            let busy = handle.run(move |roster| roster.find_customers(&[waits]).len());
            let busy = async { busy.await.expect("an answer in time") };
            let pages = [(0, 1, false), (1, 2, false), (0, 2, false), (2, 9, true), (0, 1, false)];
            let pages = pages.map(|(tenant, limit, with_total)| list(tenants[tenant], limit, with_total));
            let busy = test.start_busy(busy);
            let callers = Callers::start(pages.into_iter().map(|page| (page, false)), 0);
            test.open();
            busy.await;
            callers.answers().await
        });
        executor.stop(DEADLINE);
        assert_eq!(numbers, [1, 2, 2, 3, 1], "{reads:?}");
        let listed = listed.lock().expect("no panic before").clone();
        match reads {
            Reads::ByWorkers => assert_eq!(listed, [3, 1]),
            Reads::ByWorkersOfTenants | Reads::ByCallers => assert_eq!(listed, [2, 1, 1]),
        }
    }
}

/// A service with three writers, one of which hangs in a write of the first of `tenants`.
struct HangingWriter {
    tenants: Vec<Tenant>,
    executor: Executor,
    handle: Handle,
    test: TestSide,
}

impl HangingWriter {
    fn start(queue: usize, tenants: usize) -> Self {
        let (gate, test) = gate();
        let roster = service(gate);
        let tenants = (0..tenants).map(|_| new_tenant(&roster)).collect();
        let settings = Settings { writers: 3, queue, ..SETTINGS };
        let executor = Executor::start(&roster, settings).expect("threads");
        let handle = executor.handles().handle();
        Self { tenants, executor, handle, test }
    }

    async fn write(&self, command: CustomerCommand) -> Result<Answer, ExecuteError> {
        self.handle.write_customer(command).await.map(|answer| Answer::of_write(answer.result))
    }

    /// Starts the write that hangs.
    fn hang(&self) -> impl Future<Output = Result<Answer, ExecuteError>> {
        self.test.start_busy(self.write(register(self.tenants[0], with_name(WAITS))))
    }
}

#[test]
fn writes_of_one_tenant_are_done_in_order_however_many_writers_there_are() {
    const EACH: usize = 200;
    let service = HangingWriter::start(10_000, 5);
    let key = |tenant| by_external_id(tenant, "ada");
    block_on(async {
        for &tenant in &service.tenants {
            let ada = Profile { external_id: Some(external_id("ada")), ..with_name("0") };
            service.write(register(tenant, ada)).await.expect("an answer in time");
        }
        let hanging = service.hang();
        let numbered = (1..=EACH).flat_map(|number| service.tenants.iter().map(move |&tenant| (number, tenant)));
        let write =
            |(number, tenant): (usize, Tenant)| service.handle.write_customer(rename(key(tenant), &number.to_string()));
        let mut writes = Box::pin(join_all(numbered.clone().map(write)));
        assert!(writes.as_mut().now_or_never().is_none());
        service.test.open();
        hanging.await.expect("an answer in time");
        for ((number, _), write) in numbered.zip(writes.await) {
            let write = write.expect("an answer in time").result.expect("a live customer");
            let names = [write.before(), Some(write.after())].map(|customer| customer?.profile().name.clone());
            assert_eq!(names, [number - 1, number].map(|number| Some(name(&number.to_string()))));
        }
    });
    service.executor.stop(DEADLINE);
}

#[test]
fn a_writer_that_hangs_does_not_delay_the_tenants_of_the_others() {
    let service = HangingWriter::start(100, 20);
    block_on(async {
        let hanging = service.hang();
        let writes = service.tenants.iter().map(|&tenant| Box::pin(service.write(register(tenant, with_name("Ada")))));
        let (first, _, _) = select_all(writes).await;
        assert!(matches!(first, Ok(Answer::Customer(_))), "{first:?}");
        service.test.open();
        hanging.await.expect("an answer in time");
    });
    service.executor.stop(DEADLINE);
}

#[test]
fn a_full_queue_of_writes_refuses_the_next_one_at_once() {
    let service = HangingWriter::start(2, 1);
    block_on(async {
        let hanging = service.hang();
        let write = || Box::pin(service.write(register(service.tenants[0], Profile::default())));
        let mut waiting = [write(), write()];
        for write in &mut waiting {
            assert!(write.as_mut().now_or_never().is_none());
        }
        assert_eq!(write().await, Err(ExecuteError::QueueFull));
        service.test.open();
        hanging.await.expect("an answer in time");
        assert!(join_all(waiting).await.iter().all(|answer| matches!(answer, Ok(Answer::Customer(_)))));
    });
    service.executor.stop(DEADLINE);
}

#[test]
fn a_write_that_panics_fails_alone() {
    let service = HangingWriter::start(2, 1);
    let tenant = service.tenants[0];
    block_on(async {
        let hanging = service.hang();
        let writes = [PANICS, "Ada"].map(|name| (service.write(register(tenant, with_name(name))), false));
        let callers = Callers::start(writes, 0);
        service.test.open();
        hanging.await.expect("an answer in time");
        let answers = callers.answers().await;
        assert!(matches!(answers[..], [Ok(Answer::Failed), Ok(Answer::Customer(_))]), "{answers:?}");
    });
    service.executor.stop(DEADLINE);
}

#[test]
fn a_long_list_of_commands_is_done_in_parts_between_which_other_requests_have_their_turn() {
    let service = HangingWriter::start(2, 1);
    let command = |name: &str| register(service.tenants[0], with_name(name));
    let listed = || std::iter::once(command(WAITS)).chain((1..=2 * PART).map(|number| command(&number.to_string())));
    let (list, single) = block_on(async {
        // Each part is one entry of a queue that has two.
        let list = service.test.start_busy(service.handle.write_customers(listed().map(Into::into).collect()));
        let mut single = Box::pin(service.handle.write_customer(command("Single")));
        assert!(single.as_mut().now_or_never().is_none());
        service.test.open();
        join(list, single).await
    });
    service.executor.stop(DEADLINE);
    // Identifiers are made in the order of the writes.
    let id = |answer: Result<roster_application::Answer, ExecuteError>| {
        answer.expect("an answer in time").result.expect("a write").after().id()
    };
    let (list, single): (Vec<_>, _) = (list.into_iter().map(id).collect(), id(single));
    assert_eq!(list.len(), 2 * PART + 1);
    assert!(list.is_sorted() && list[PART - 1] < single && single < list[PART], "{single:?} in {list:?}");
}

#[test]
fn the_rest_of_a_list_is_not_started_once_a_part_has_no_answer() {
    let service = HangingWriter::start(1, 1);
    let command = |name: &str| register(service.tenants[0], with_name(name));
    let results = block_on(async {
        let hanging = service.hang();
        let mut waiting = Box::pin(service.write(command("Waiting")));
        assert!(waiting.as_mut().now_or_never().is_none());
        let listed = (0..=PART).map(|number| command(&number.to_string()));
        let results = service.handle.write_customers(listed.map(Into::into).collect()).await;
        service.test.open();
        let _answers = join(hanging, waiting).await;
        results
    });
    service.executor.stop(DEADLINE);
    assert_eq!(results.len(), PART + 1);
    assert!(results.iter().all(|result| matches!(result, Err(ExecuteError::QueueFull))), "{results:?}");
}

/// Where the store waits for the test, and the test for the store. It is open once the other side is dropped.
struct Gate {
    reached: Sender<()>,
    opened: Mutex<Receiver<()>>,
    /// How many pages each call has asked for.
    listed: Arc<Mutex<Vec<usize>>>,
}

impl Gate {
    fn wait(&self) {
        let _ignored = self.reached.send(());
        let _ignored = self.opened.lock().expect("no panic before").recv();
    }
}

/// The test's side of a [`Gate`].
struct TestSide {
    reached: Receiver<()>,
    open: Sender<()>,
}

impl TestSide {
    /// Starts a call in which the store waits at the gate.
    fn start_busy<F: Future>(&self, call: F) -> impl Future<Output = F::Output> {
        let mut call = Box::pin(call);
        assert!(call.as_mut().now_or_never().is_none());
        self.reached.recv().expect("the store waits");
        call
    }

    fn open(&self) {
        self.open.send(()).expect("the store waits for it");
    }

    /// Starts `calls` while the thread is held by `busy`; returns the answers of those whose callers stay.
    async fn behind<F: Future>(&self, busy: F, calls: impl Iterator<Item = (F, bool)>) -> Vec<F::Output> {
        let busy = self.start_busy(busy);
        let callers = Callers::start(calls, 0);
        self.open();
        busy.await;
        callers.answers().await
    }
}

fn gate() -> (Gate, TestSide) {
    let ((reached, is_reached), (open, opened)) = (mpsc::channel(), mpsc::channel());
    let gate = Gate { reached, opened: Mutex::new(opened), listed: Arc::default() };
    (gate, TestSide { reached: is_reached, open })
}

impl Gate {
    /// Meets the faults that `words` ask for.
    fn meet_faults<'a>(&self, words: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
        for word in words {
            match word {
                FAILS => return Err(StoreError::internal("on purpose")),
                // A panic without a message on standard error.
                PANICS => resume_unwind(Box::new("on purpose")),
                WAITS => self.wait(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Interceptor for Gate {
    fn before_write(&self, _: &mut dyn CustomerRepository, writes: &[Write]) -> Result<(), StoreError> {
        self.meet_faults(writes.iter().filter_map(|write| Some(write.after().profile().name.as_ref()?.as_str())))
    }

    fn before_find(&self, keys: &[CustomerKey]) -> Result<(), StoreError> {
        self.meet_faults(keys.iter().filter_map(|key| match &key.customer {
            CustomerRef::Id(_) => None,
            CustomerRef::ExternalId(id) => Some(id.as_str()),
        }))
    }

    fn before_list(&self, queries: &[CustomerQuery]) -> Result<(), StoreError> {
        self.listed.lock().expect("no panic before").push(queries.len());
        Ok(())
    }
}
