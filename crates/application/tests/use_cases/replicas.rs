//! Reads from a replica, and what it is checked for.

use std::sync::{Arc, Mutex};

use roster_application::ports::{Fact, Position, Replica, Shown, Standing, Store, StoreError, Usage, Work};
use roster_application::{CustomerCommand, Registration, ReplicaError, ReplicaRead, Roster};
use roster_domain::{EmailUse, MerchantId, Profile};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};

use crate::service::Service;

const fn position(database: u64, place: u64) -> Position {
    Position { database, timeline: 1, place }
}

/// A replica that includes `place`, and reads the rows of the store.
struct FakeReplica {
    store: Arc<dyn Store>,
    standing: Mutex<Result<Standing, StoreError>>,
}

impl FakeReplica {
    fn follows(store: Arc<dyn Store>, place: u64) -> Arc<Self> {
        Arc::new(Self { store, standing: Mutex::new(Ok(Standing::Follows(position(1, place)))) })
    }

    fn becomes(&self, standing: Result<Standing, StoreError>) {
        *self.standing.lock().expect("no panic before") = standing;
    }
}

impl Replica for FakeReplica {
    fn run_read(&self, wanted: &[Option<Position>], work: &mut Work<'_>) -> Result<Option<Shown>, StoreError> {
        let Standing::Follows(here) = self.look()? else { return Err(StoreError::unavailable("it was promoted")) };
        if !wanted.iter().any(|wanted| wanted.is_none_or(|wanted| here.includes(wanted))) {
            return Ok(None);
        }
        self.store.run_direct(work)?;
        Ok(Some(Shown { least: Some(here), most: here }))
    }

    fn look(&self) -> Result<Standing, StoreError> {
        self.standing.lock().expect("no panic before").clone()
    }
}

fn is_known(roster: &Roster) -> Result<bool, StoreError> {
    Ok(roster.find_merchant(MerchantId::new(uuid::Uuid::nil()))?.is_some())
}

#[test]
fn a_replica_is_read_only_as_far_as_it_has_come() {
    let service = Service::start();
    let replica = FakeReplica::follows(service.store.clone(), 10);
    let roster = service.roster.clone().with_replica(replica.clone());
    for (wanted, is_shown) in [(None, true), (Some(position(1, 10)), true), (Some(position(1, 11)), false)] {
        match roster.read_replica(&[wanted], is_known) {
            ReplicaRead::Shown(found, shown) => assert!(is_shown && !found.expect("a read") && shown.includes(wanted)),
            ReplicaRead::Behind => assert!(!is_shown, "{wanted:?}"),
            ReplicaRead::Failed(error) => panic!("{error}"),
        }
    }
    // Those that want more are not served by a read for one that wants less.
    let ReplicaRead::Shown(_, shown) = roster.read_replica(&[Some(position(1, 11)), Some(position(1, 9))], is_known)
    else {
        panic!("one of them can be served")
    };
    assert!(shown.includes(Some(position(1, 9))) && !shown.includes(Some(position(1, 11))));
    replica.becomes(Err(StoreError::unavailable("gone")));
    assert!(matches!(roster.read_replica(&[None], is_known), ReplicaRead::Failed(_)));
}

#[test]
fn nothing_is_written_to_a_replica() {
    let service = Service::start();
    let roster = service.roster.clone().with_replica(FakeReplica::follows(service.store.clone(), 10));
    let registration =
        Registration { tenant: service.tenant, profile: Profile::default(), email_use: EmailUse::Exclusive };
    let written = roster.read_replica(&[None], |roster| {
        let atomic = vec![CustomerCommand::Register(registration.clone())];
        roster.write_atomically(service.tenant, atomic, None, None).result.is_ok()
    });
    assert!(!matches!(written, ReplicaRead::Shown(true, _)));
}

/// A store of database 1.
#[derive(Default)]
struct Positioned(MemoryStore);

impl Store for Positioned {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.0.run_transaction(work)
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.0.run_direct(work)
    }

    fn run_snapshot(&self, age: std::time::Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.0.run_snapshot(age, work)
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.0.ping()
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Ok(Some(position(1, 100)))
    }

    fn flush_search_index(&self) -> Result<bool, StoreError> {
        self.0.flush_search_index()
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        self.0.check_connections()
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.0.migrate()
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        self.0.pending_migrations()
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        self.0.is_distributed()
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        self.0.distribute()
    }

    fn inspect(&self, visit: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        self.0.inspect(visit)
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

#[test]
fn a_replica_must_follow_the_database_of_the_store() {
    let store: Arc<dyn Store> = Arc::new(Positioned::default());
    let replica = FakeReplica::follows(store.clone(), 10);
    let (ids, entropy) = (Arc::new(CountingIds::default()), Arc::new(CountingEntropy::default()));
    let roster = Roster::new(store, Arc::new(FixedClock::default()), ids, entropy);
    assert!(matches!(roster.check_replica(), Err(ReplicaError::Store(_))), "there is none");
    let roster = roster.with_replica(replica.clone());
    assert_eq!(roster.check_replica().ok(), Some(position(1, 10)));
    replica.becomes(Ok(Standing::Follows(position(2, 10))));
    assert!(matches!(roster.check_replica(), Err(ReplicaError::OtherDatabase)));
    replica.becomes(Ok(Standing::TakesWrites));
    assert!(matches!(roster.check_replica(), Err(ReplicaError::TakesWrites)));
    replica.becomes(Err(StoreError::unavailable("gone")));
    assert!(matches!(roster.check_replica(), Err(ReplicaError::Store(_))));
}
