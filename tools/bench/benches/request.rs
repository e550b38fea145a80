//! `make bench-micro`: the cost of a request without a database.
//!
//! It measures single functions, and then whole requests of each surface over the store in memory, on one connection to
//! a service in this process that does not log. The surfaces differ mostly in their JSON.

use std::future::pending;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roster_application::ports::AttemptOutcome;
use roster_application::{
    ApiKeyOrder, ApiKeySecret, CustomerCommand, Operation, Registration, Roster, Scopes, Sent, TestEvent, json,
};
use roster_domain::{
    Address, AddressPart, Country, Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Json, MerchantName,
    Metadata, Name, Phone, PostalCode, Profile, Tenant,
};
use roster_executor::{Executor, Reads};
use roster_http::{
    Answered, ImportSettings, Observer, Quotas, SendTests, ServiceInformation, Settings, WebhookSettings,
};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};
use roster_metrics::Metrics;
use uuid::Uuid;

const BODY: &str = r#"{"email":"ada.lovelace@example.com","external_id":"usr_12345","name":"Ada Lovelace",
    "billing_address":{"line1":"12 St James's Square","city":"London","postal_code":"SW1Y 4JH","country":"GB"},
    "metadata":{"plan":"pro","seats":12,"tags":["vip","beta"]}}"#;

fn emails(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("e-mail, parsed and keyed");
    for (name, address) in [("ascii", "Ada.Lovelace@Example.com"), ("unicode", "Ädä.Lövelace@Bücher.Example")] {
        group.bench_function(name, |bencher| bencher.iter(|| Email::parse(black_box(address)).expect("an address")));
    }
    group.finish();
}

fn ids(criterion: &mut Criterion) {
    let id = CustomerId::new(Uuid::from_u128(0x0190_1234_5678_7000_8000_0123_4567_89ab));
    let text = id.to_string();
    let mut group = criterion.benchmark_group("identifier");
    group.bench_function("written", |bencher| bencher.iter(|| black_box(id).to_string()));
    group.bench_function("read", |bencher| bencher.iter(|| CustomerId::parse(black_box(&text)).expect("an id")));
    group.finish();
}

fn api_keys(criterion: &mut Criterion) {
    let secret = ApiKeySecret::generate(Environment::Live, &CountingEntropy::default()).expect("endless entropy");
    let mut group = criterion.benchmark_group("API key");
    group.bench_function("checked and digested", |bencher| {
        bencher.iter(|| ApiKeySecret::parse(black_box(secret.reveal())).expect("a key").digest());
    });
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let read = json::read(BODY.as_bytes()).expect("a body");
    let mut group = criterion.benchmark_group("JSON of a create");
    group.throughput(Throughput::Bytes(BODY.len() as u64));
    group.bench_function("read strictly", |bencher| bencher.iter(|| json::read(black_box(BODY.as_bytes()))));
    group.bench_function("written", |bencher| bencher.iter(|| black_box(&read).to_string()));
    group.finish();
}

fn metrics(criterion: &mut Criterion) {
    let requests = Metrics::new("0", "SQLite").requests();
    let request = Answered {
        surface: "native",
        route: "/v1/customers/external/{external_id}",
        method: "GET",
        status: 200,
        duration: Duration::from_millis(1),
    };
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("a request counted", |bencher| bencher.iter(|| requests.answered(black_box(&request))));
    group.finish();
}

fn surfaces(criterion: &mut Criterion) {
    let (address, key, customer) = serve();
    let id = customer.id().suffix();
    for (kind, paths) in [
        (
            "one customer",
            [
                ("native", format!("/v1/customers/cus_{id}")),
                ("Lumen", format!("/api/customers/cust_{id}")),
                ("Lava", format!("/lava/v1/customers/con_live_{}", id.to_uppercase())),
            ],
        ),
        (
            "25 customers",
            [
                ("native", "/v1/customers".to_owned()),
                ("Lumen", "/api/customers".to_owned()),
                ("Lava", "/lava/v1/customers?limit=25".to_owned()),
            ],
        ),
    ] {
        let mut group = criterion.benchmark_group(format!("answer with {kind}, over the store in memory"));
        for (surface, path) in paths {
            let mut connection = Connection::open(address);
            let request = format!("GET {path} HTTP/1.1\r\nhost: roster\r\nauthorization: Bearer {key}\r\n\r\n");
            group.bench_function(surface, |bencher| bencher.iter(|| connection.get(&request)));
        }
        group.finish();
    }
}

const DEADLINE: Duration = Duration::from_secs(2);

/// No test event is sent here.
struct NoTests;

impl SendTests for NoTests {
    fn send(&self, _: TestEvent, _: String) -> Pin<Box<dyn Future<Output = (AttemptOutcome, Sent)> + '_>> {
        Box::pin(pending())
    }
}

/// Starts a service that runs until this process ends, on a store in memory with 25 customers of one merchant. Returns
/// its address, a key, and one of the customers.
fn serve() -> (SocketAddr, String, Customer) {
    let roster = Roster::new(
        Arc::new(MemoryStore::default()),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    )
    .with_key_lifetime(Duration::from_mins(10), Duration::ZERO);
    let merchant =
        roster.create_merchant(MerchantName::parse("Ada").expect("a name"), &Operation::COMMAND_LINE).expect("memory");
    let tenant = Tenant { merchant: merchant.id, environment: Environment::Live };
    let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::DEFAULT, expires_at: None };
    let key = roster.create_api_key(order, &Operation::COMMAND_LINE).expect("memory").secret.reveal().to_owned();
    let registrations: Vec<_> = (0..25).map(|number| CustomerCommand::Register(registration(tenant, number))).collect();
    let registered = roster.write_customers(registrations).into_iter().next().expect("25 of them");
    let customer = registered.result.expect("no other customer").into_customer();
    let most = NonZeroU32::new(1_000_000).expect("not zero");
    let quotas = Quotas { key: most, merchant: most };
    let settings = Settings {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        workers: 1,
        max_connections: 100,
        head_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(10),
        max_head: 16 << 10,
        request_memory: 64 << 20,
        write_timeout: Duration::from_secs(30),
        admin_bind: None,
        cors_origins: Vec::new(),
        api_page: true,
        drain: Duration::ZERO,
        shutdown_timeout: Duration::from_secs(1),
        live: quotas,
        sandbox: quotas,
        stream_memory: 16 << 20,
        export_timeout: Duration::from_mins(10),
        deadline: DEADLINE,
        webhooks: WebhookSettings { allow_private: false, timeout: DEADLINE, tests: Arc::new(NoTests) },
        imports: ImportSettings { max_bytes: 1 << 20, timeout: Duration::from_secs(1), begun: Arc::new(|_, _| ()) },
        observer: Observer::default(),
        pages: None,
        service: ServiceInformation { database: "memory", started_at: roster.now(), settings: serde_json::Map::new() },
    };
    let executor =
        roster_executor::Settings { threads: 5, writers: 1, queue: 1024, deadline: DEADLINE, reads: Reads::ByCallers };
    let executor = Executor::start(&roster, executor).expect("threads");
    let (ready, listens) = mpsc::channel();
    thread::spawn(move || {
        let ready = move |address, _| ready.send(address).expect("the channel is open");
        roster_http::serve(executor.handles(), &settings, ready, pending()).expect("a free port");
    });
    (listens.recv().expect("it listens"), key, customer)
}

fn registration(tenant: Tenant, number: u32) -> Registration {
    let Json::Object(metadata) = json::read(br#"{"plan":"pro","seats":12}"#).expect("JSON") else {
        unreachable!("an object")
    };
    let profile = Profile {
        email: Email::parse(&format!("customer{number}@example.com")).ok(),
        external_id: ExternalId::parse(format!("usr_{number}")).ok(),
        name: Name::parse(format!("Customer {number}")).ok(),
        phone: Phone::parse("+14155552671".to_owned()).ok(),
        address: Address {
            line1: AddressPart::parse("123 Main Street".to_owned()).ok(),
            city: AddressPart::parse("San Francisco".to_owned()).ok(),
            postal_code: PostalCode::parse("94105".to_owned()).ok(),
            country: Country::parse("US").ok(),
            ..Address::default()
        },
        metadata: Metadata::new(&metadata).expect("small metadata"),
        ..Profile::default()
    };
    Registration { tenant, profile, email_use: EmailUse::Exclusive }
}

/// A connection that is kept open.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a service that listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: vec![0; 64 * 1024] }
    }

    /// Sends `request` and reads the whole response.
    fn get(&mut self, request: &str) -> usize {
        self.stream.write_all(request.as_bytes()).expect("a service that reads");
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut self.buffer[read..]).expect("a service that answers");
            assert!(more > 0, "the service closed the connection");
            read += more;
            let response = &self.buffer[..read];
            assert!(response.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(response));
            if is_complete(response) {
                return read;
            }
        }
    }
}

/// Whether a response is complete, according to its length or its last chunk.
fn is_complete(response: &[u8]) -> bool {
    let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&response[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.map_or_else(|| response.ends_with(b"0\r\n\r\n"), |length| response.len() == end + 4 + length)
}

criterion_group!(benches, emails, ids, api_keys, bodies, metrics, surfaces);
criterion_main!(benches);
