//! Units of work: what is kept, what is undone, and what an error does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use roster_application::ports::{
    CustomerQuery, CustomerState, Store, StoreError, SubscriptionKey, TRIES, UnitOfWork, Verdict, Written,
};
use roster_application::{ApiKey, Digest};
use roster_domain::{Customer, Merchant, MerchantId, Subscription, Tenant};

use crate::actions::{
    by_external_id, by_id, create, external_id_taken_by, find, insert_merchant, insert_one, list, start,
};
use crate::samples::{
    Samples, at, change_of, creation, deletion, live, renamed, report, subscription, with_external_id,
};

pub fn a_store_that_is_there_answers_a_ping(store: &Arc<dyn Store>) {
    store.ping().expect("a store that is there");
}

pub fn work_that_succeeds_is_kept_whole(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let kept: Result<_, Refused> = store.transaction(|uow| everything.write(uow).map(|()| 7));
    assert_eq!(kept, Ok(7));
    assert_eq!(everything.there(store), [true; 4]);
}

pub fn work_that_fails_is_undone_whole(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let undone: Result<(), _> = store.transaction(|uow| {
        everything.write(uow)?;
        Err(Refused::ByTheWork)
    });
    assert_eq!(undone, Err(Refused::ByTheWork));
    assert_eq!(everything.there(store), [false; 4]);
}

pub fn a_rollback_is_no_error(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let result = store.run_transaction(&mut |uow| {
        everything.write(uow).expect("an empty store");
        Verdict::Rollback
    });
    result.expect("work that asked for a rollback");
    assert_eq!(everything.there(store), [false; 4]);
}

pub fn changes_and_deletions_are_undone_too(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let undone: Result<(), _> = store.transaction(|uow| {
        let batch = [change_of(&ada, &with_external_id(&ada, "new")), deletion(&eda)];
        assert_eq!(uow.customers().write(&batch)?, vec![Written::Done; 2]);
        Err(Refused::ByTheWork)
    });
    assert_eq!(undone, Err(Refused::ByTheWork));
    assert_eq!(list(store, tenant, None, 10), [eda.clone(), ada.clone()]);
    let rival = samples.customer(tenant).external_id("ada").build();
    assert_eq!(insert_one(store, &rival), external_id_taken_by(&ada));
    create(store, &[&samples.customer(tenant).external_id("new").build()]);
}

pub fn a_transaction_sees_what_it_wrote(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let Everything { merchant, key, customer, subscription } = &everything;
    let tenant = customer.tenant();
    let seen: Result<(), Refused> = store.transaction(|uow| {
        everything.write(uow)?;
        assert_eq!(uow.merchants().find(merchant.id)?.as_ref(), Some(merchant));
        assert_eq!(uow.api_keys().find(&[key.digest])?, [Some(key.clone())]);
        let found = uow.customers().find(CustomerState::Live, &[by_id(customer)])?;
        assert_eq!(found, [Some(customer.clone())]);
        assert_eq!(uow.customers().list(&newest_of(tenant))?.customers, std::slice::from_ref(customer));
        let found = uow.subscriptions().find(&[everything.subscription_key()])?;
        assert_eq!(found, [Some((customer.clone(), Some(subscription.clone())))]);
        let current = uow.subscriptions().current(&[(tenant, customer.id())])?;
        assert_eq!(current, [Some(subscription.clone())]);
        assert_eq!(uow.customers().write(&[deletion(customer)])?, [Written::Done]);
        assert_eq!(uow.customers().find(CustomerState::Live, &[by_id(customer)])?, [None]);
        Ok(())
    });
    assert_eq!(seen, Ok(()));
}

pub fn a_transaction_works_on_what_it_wrote(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).external_id("ada").build();
    let second = samples.customer(tenant).external_id("ada").build();
    let after = renamed(&first, "Ada");
    let worked: Result<_, StoreError> = store.transaction(|uow| {
        let customers = uow.customers();
        let created = customers.write(&[creation(&first), creation(&second)])?;
        let found = customers.find(CustomerState::Live, &[by_external_id(tenant, "ada")])?;
        let changed = customers.write(&[change_of(&first, &after)])?;
        let stale = customers.write(&[deletion(&first)])?;
        let then = customers.write(&[deletion(&after), creation(&second)])?;
        Ok((created, found, changed, stale, then))
    });
    let (created, found, changed, stale, then) = worked.expect("a transaction without rivals");
    assert_eq!(created, [Written::Done, external_id_taken_by(&first)]);
    assert_eq!(found, [Some(first)]);
    assert_eq!((changed, stale), (vec![Written::Done], vec![Written::Stale]));
    assert_eq!(then, vec![Written::Done; 2]);
    assert_eq!(list(store, tenant, None, 10), [second]);
}

pub fn an_external_id_may_move_between_customers_in_one_transaction(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let aside = with_external_id(&ada, "aside");
    let steps = [
        change_of(&ada, &aside),
        change_of(&eda, &with_external_id(&eda, "ada")),
        change_of(&aside, &with_external_id(&aside, "eda")),
    ];
    let moved: Result<Vec<_>, StoreError> =
        store.transaction(|uow| steps.iter().map(|step| uow.customers().write(std::slice::from_ref(step))).collect());
    assert_eq!(moved.expect("a transaction without rivals").concat(), vec![Written::Done; 3]);
    assert_eq!(find(store, by_external_id(tenant, "ada")).map(|found| found.id()), Some(eda.id()));
    assert_eq!(find(store, by_external_id(tenant, "eda")).map(|found| found.id()), Some(ada.id()));
}

pub fn after_an_error_a_transaction_is_spent_and_nothing_is_kept(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let result = store.run_transaction(&mut |uow| {
        everything.write(uow).expect("an empty store");
        fail(uow);
        everything.assert_spent(uow);
        Verdict::Commit
    });
    assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
    assert_eq!(everything.there(store), [false; 4]);
}

pub fn after_an_error_direct_work_is_spent_and_earlier_writes_stay(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let late = Samples::default().merchant();
    let late = Merchant { id: MerchantId::new(uuid::Uuid::max()), ..late };
    let result = store.run_direct(&mut |uow| {
        everything.write(uow).expect("an empty store");
        fail(uow);
        everything.assert_spent(uow);
        let refused = uow.merchants().insert(&late);
        assert!(refused.is_err(), "{refused:?}");
        Verdict::Commit
    });
    assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
    assert_eq!(everything.there(store), [true; 4]);
    insert_merchant(store, &late).expect("a merchant that was not inserted before");
}

pub fn the_first_error_is_reported_whatever_the_work_returns(store: &Arc<dyn Store>) {
    let merchant = Samples::default().merchant();
    insert_merchant(store, &merchant).expect("a new merchant");
    for verdict in [Verdict::Commit, Verdict::Rollback] {
        let mut work = |uow: &mut dyn UnitOfWork| {
            let first = uow.merchants().insert(&merchant);
            let second = uow.merchants().find(merchant.id);
            assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
            verdict
        };
        let transaction = store.run_transaction(&mut work);
        assert!(matches!(transaction, Err(StoreError::Duplicate { .. })), "{transaction:?}");
        let direct = store.run_direct(&mut work);
        assert!(matches!(direct, Err(StoreError::Duplicate { .. })), "{direct:?}");
    }
}

pub fn a_store_works_as_before_after_many_errors(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    // More often than a store has connections, if it has a bounded number of them.
    for _ in 0..40 {
        let transaction = store.run_transaction(&mut |uow| {
            fail(uow);
            Verdict::Commit
        });
        let direct = store.run_direct(&mut |uow| {
            fail(uow);
            Verdict::Commit
        });
        assert!(transaction.is_err() && direct.is_err());
    }
    let kept: Result<(), Refused> = store.transaction(|uow| everything.write(uow));
    assert_eq!(kept, Ok(()));
}

pub fn direct_writes_stay_whatever_the_work_returns(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let refused: Result<(), _> = store.direct(|uow| {
        everything.write(uow)?;
        Err(Refused::ByTheWork)
    });
    assert_eq!(refused, Err(Refused::ByTheWork));
    assert_eq!(everything.there(store), [true; 4]);
}

pub fn a_transaction_that_loses_every_race_is_tried_a_few_times(store: &Arc<dyn Store>) {
    let merchant = Samples::default().merchant();
    insert_merchant(store, &merchant).expect("a new merchant");
    let mut tried = 0;
    let result: Result<(), StoreError> = store.transaction(|uow| {
        tried += 1;
        uow.merchants().insert(&merchant)
    });
    assert!(result.as_ref().is_err_and(StoreError::is_lost_race), "{result:?}");
    assert_eq!(tried, TRIES);
}

pub fn a_retried_transaction_keeps_nothing_of_the_tries_before(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let [there, lost, won] = [(); 3].map(|()| samples.merchant());
    insert_merchant(store, &there).expect("a new merchant");
    let mut tried = 0;
    let result: Result<(), StoreError> = store.transaction(|uow| {
        tried += 1;
        if tried == 1 {
            uow.merchants().insert(&lost)?;
            return uow.merchants().insert(&there);
        }
        uow.merchants().insert(&won)
    });
    result.expect("a second try without rivals");
    let found = |merchant: &Merchant| store.direct(|uow| uow.merchants().find(merchant.id)).expect("an answer");
    assert_eq!((tried, found(&lost), found(&won)), (2, None, Some(won)));
}

pub fn only_a_lost_race_is_tried_again(store: &Arc<dyn Store>) {
    let mut tried = 0;
    let result = store.run_transaction(&mut |uow| {
        tried += 1;
        fail(uow);
        Verdict::Commit
    });
    assert!(result.is_err());
    let refused: Result<(), _> = store.transaction(|_| {
        tried += 1;
        Err(Refused::ByTheWork)
    });
    assert_eq!((refused, tried), (Err(Refused::ByTheWork), 2));
}

pub fn direct_work_is_never_tried_again(store: &Arc<dyn Store>) {
    let merchant = Samples::default().merchant();
    let mut tried = 0;
    let result: Result<(), StoreError> = store.direct(|uow| {
        tried += 1;
        uow.merchants().insert(&merchant)?;
        uow.merchants().insert(&merchant)
    });
    assert!(matches!(result, Err(StoreError::Duplicate { .. })), "{result:?}");
    assert_eq!(tried, 1);
}

pub fn work_that_panics_keeps_nothing_and_the_store_goes_on(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    for _ in 0..3 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.run_transaction(&mut |uow| {
                everything.write(uow).expect("an empty store");
                // Without the panic hook, which would print a message that looks like a fault.
                std::panic::resume_unwind(Box::new("work that panics"));
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(everything.there(store), [false; 4]);
    }
    let kept: Result<(), Refused> = store.transaction(|uow| everything.write(uow));
    assert_eq!(kept, Ok(()));
}

/// Why work failed: by its own decision, or by an error of the store.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    ByTheWork,
    ByTheStore(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::ByTheStore(format!("{error:?}"))
    }
}

/// Makes the unit of work fail with an error that no second try can avoid.
fn fail(uow: &mut dyn UnitOfWork) {
    let samples = Samples::default();
    let of_no_merchant = samples.customer(live(&samples.merchant())).build();
    let failed = uow.customers().write(&[creation(&of_no_merchant)]);
    assert!(matches!(failed, Err(StoreError::Internal { .. })), "{failed:?}");
}

fn newest_of(tenant: Tenant) -> CustomerQuery {
    CustomerQuery::newest(tenant, 10)
}

/// One row of each kind.
struct Everything {
    merchant: Merchant,
    key: ApiKey,
    customer: Customer,
    subscription: Subscription,
}

impl Everything {
    fn new() -> Self {
        let samples = Samples::default();
        // Greater than the ids of all other samples of a case, so that they are different.
        for _ in 0..100 {
            samples.uuid();
        }
        let merchant = samples.merchant();
        let tenant = live(&merchant);
        Self {
            merchant,
            key: samples.api_key(tenant),
            customer: samples.customer(tenant).external_id("ada").email("ada@example.com").build(),
            subscription: subscription("s", at(1)),
        }
    }

    fn tenant(&self) -> Tenant {
        self.customer.tenant()
    }

    fn write(&self, uow: &mut dyn UnitOfWork) -> Result<(), Refused> {
        uow.merchants().insert(&self.merchant)?;
        uow.api_keys().insert(&self.key)?;
        let batch = [creation(&self.customer), report(&self.customer, None, &self.subscription)];
        assert_eq!(uow.customers().write(&batch)?, vec![Written::Done; 2]);
        Ok(())
    }

    fn subscription_key(&self) -> SubscriptionKey {
        SubscriptionKey { customer: by_id(&self.customer), id: self.subscription.id.clone() }
    }

    /// Whether each row is stored.
    fn there(&self, store: &Arc<dyn Store>) -> [bool; 4] {
        let there: Result<_, StoreError> = store.direct(|uow| {
            Ok([
                uow.merchants().find(self.merchant.id)?.is_some(),
                uow.api_keys().find(&[self.key.digest])?[0].is_some(),
                uow.customers().find(CustomerState::Any, &[by_id(&self.customer)])?[0].is_some(),
                !uow.subscriptions().list(self.tenant(), self.customer.id(), None, 1)?.is_empty(),
            ])
        });
        there.expect("answers")
    }

    /// Asserts that every further call of every repository fails, even one that only reads.
    fn assert_spent(&self, uow: &mut dyn UnitOfWork) {
        let (tenant, id) = (self.tenant(), self.customer.id());
        let customers = uow.customers();
        for write in
            [creation(&self.customer), deletion(&self.customer), report(&self.customer, None, &self.subscription)]
        {
            assert!(customers.write(&[write]).is_err());
        }
        assert!(customers.write(&[]).is_err());
        assert!(customers.find(CustomerState::Live, &[by_id(&self.customer)]).is_err());
        assert!(customers.list(&newest_of(tenant)).is_err());
        let subscriptions = uow.subscriptions();
        assert!(subscriptions.find(&[self.subscription_key()]).is_err());
        assert!(subscriptions.list(tenant, id, None, 1).is_err());
        assert!(subscriptions.current(&[(tenant, id)]).is_err());
        let merchants = uow.merchants();
        assert!(merchants.insert(&self.merchant).is_err());
        assert!(merchants.find(self.merchant.id).is_err());
        assert!(merchants.list(None, 1).is_err());
        let api_keys = uow.api_keys();
        assert!(api_keys.insert(&self.key).is_err());
        assert!(api_keys.find(&[Digest([0; 32])]).is_err());
        assert!(api_keys.tenant_of(self.key.id).is_err());
        assert!(api_keys.list(tenant, None, 1).is_err());
        assert!(api_keys.lock(tenant, self.key.id).is_err());
        assert!(api_keys.update(&self.key).is_err());
        assert!(api_keys.record_uses(&[]).is_err());
    }
}
