//! Units of work: what is kept, what is undone, and what an error does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use roster_application::ports::{Claims, Inserted, Store, StoreError, TRIES, UnitOfWork, Verdict};
use roster_application::{ApiKey, Digest};
use roster_domain::{Customer, Merchant, Subscription, Tenant};

use crate::actions::{
    by_external_id, by_id, create, external_id_taken_by, find, insert_merchant, insert_one, list, start,
};
use crate::samples::{Samples, at, deleted, live, renamed, subscription, with_external_id};

pub fn the_store_gives_a_sign_of_life(store: &Arc<dyn Store>) {
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
        everything.write(uow).expect("a free place");
        Verdict::Rollback
    });
    result.expect("work that was undone as it wanted");
    assert_eq!(everything.there(store), [false; 4]);
}

pub fn changes_and_deletions_are_undone_too(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let undone: Result<(), _> = store.transaction(|uow| {
        for (before, after) in [(&ada, with_external_id(&ada, "new")), (&eda, deleted(&eda))] {
            uow.customers().lock(&by_id(before))?;
            uow.customers().update(&after, &Claims::of_change(before, &after))?;
        }
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
        assert_eq!(uow.customers().find(&[by_id(customer)])?, [Some(customer.clone())]);
        assert_eq!(uow.customers().list(tenant, None, 10)?, std::slice::from_ref(customer));
        let told = uow.subscriptions().current(&[(tenant, customer.id())])?;
        assert_eq!(told, [Some(subscription.clone())]);
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
        let before = customers.insert(&[first.clone(), second.clone()])?;
        let locked = customers.lock(&by_external_id(tenant, "ada"))?;
        customers.update(&after, &Claims::of_change(&first, &after))?;
        let gone = deleted(&after);
        customers.update(&gone, &Claims::of_change(&after, &gone))?;
        let then = customers.insert(std::slice::from_ref(&second))?;
        Ok((before, locked, then))
    });
    let (before, locked, then) = worked.expect("a transaction that nobody disturbs");
    assert_eq!(before, [Inserted::Created, external_id_taken_by(&first)]);
    assert_eq!(locked, Some(first));
    assert_eq!(then, [Inserted::Created]);
    assert_eq!(list(store, tenant, None, 10), [second]);
}

pub fn an_external_id_may_pass_from_one_to_another_in_one_transaction(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let steps = [
        (ada.clone(), with_external_id(&ada, "aside")),
        (eda.clone(), with_external_id(&eda, "ada")),
        (with_external_id(&ada, "aside"), with_external_id(&ada, "eda")),
    ];
    let passed: Result<(), StoreError> = store.transaction(|uow| {
        let customers = uow.customers();
        steps.iter().try_for_each(|(before, after)| {
            customers.lock(&by_id(before))?;
            customers.update(after, &Claims::of_change(before, after))
        })
    });
    passed.expect("claims that are free, one after the other");
    assert_eq!(find(store, by_external_id(tenant, "ada")).map(|found| found.id()), Some(eda.id()));
    assert_eq!(find(store, by_external_id(tenant, "eda")).map(|found| found.id()), Some(ada.id()));
}

pub fn after_an_error_a_transaction_is_spent_and_nothing_is_kept(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let result = store.run_transaction(&mut |uow| {
        everything.write(uow).expect("a free place");
        fail(uow);
        everything.assert_spent(uow);
        Verdict::Commit
    });
    assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
    assert_eq!(everything.there(store), [false; 4]);
}

pub fn direct_work_is_spent_after_an_error_and_what_it_wrote_before_stays(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    let late = Samples::default().merchant();
    let late = Merchant { id: roster_domain::MerchantId::new(uuid::Uuid::max()), ..late };
    let result = store.run_direct(&mut |uow| {
        everything.write(uow).expect("a free place");
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

pub fn the_first_error_is_the_one_that_is_told_whatever_the_work_makes_of_it(store: &Arc<dyn Store>) {
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

pub fn an_error_leaves_the_store_as_good_as_before(store: &Arc<dyn Store>) {
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

pub fn what_direct_work_wrote_stays_whatever_the_work_says(store: &Arc<dyn Store>) {
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

pub fn a_transaction_that_wins_at_last_keeps_nothing_of_the_tries_before(store: &Arc<dyn Store>) {
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
    result.expect("a second try that nobody disturbs");
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

pub fn work_that_panics_keeps_nothing_and_harms_nobody_else(store: &Arc<dyn Store>) {
    let everything = Everything::new();
    for _ in 0..3 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.run_transaction(&mut |uow| {
                everything.write(uow).expect("a free place");
                // Without the panic hook, which would print a fault that is none.
                std::panic::resume_unwind(Box::new("work that panics"));
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(everything.there(store), [false; 4]);
    }
    let kept: Result<(), Refused> = store.transaction(|uow| everything.write(uow));
    assert_eq!(kept, Ok(()));
}

/// Why work failed that is not the store's fault, and the store's faults.
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

/// Makes the unit of work fail with an error that no second try can mend.
fn fail(uow: &mut dyn UnitOfWork) {
    let samples = Samples::default();
    let of_nobody = samples.customer(live(&samples.merchant())).build();
    let failed = uow.customers().insert(&[of_nobody]);
    assert!(matches!(failed, Err(StoreError::Internal { .. })), "{failed:?}");
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
        // Greater than the ids of all other samples, so that it is none of theirs.
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
        let inserted = uow.customers().insert(std::slice::from_ref(&self.customer))?;
        assert_eq!(inserted, [Inserted::Created]);
        uow.subscriptions().put(self.tenant(), self.customer.id(), &self.subscription)?;
        Ok(())
    }

    /// Of each row whether it is there.
    fn there(&self, store: &Arc<dyn Store>) -> [bool; 4] {
        let there: Result<_, StoreError> = store.direct(|uow| {
            Ok([
                uow.merchants().find(self.merchant.id)?.is_some(),
                uow.api_keys().find(&[self.key.digest])?[0].is_some(),
                uow.customers().find(&[by_id(&self.customer)])?[0].is_some(),
                uow.subscriptions().find(self.tenant(), self.customer.id(), &self.subscription.id)?.is_some(),
            ])
        });
        there.expect("answers")
    }

    /// Asserts that no call of any repository succeeds any more, be it for reading.
    fn assert_spent(&self, uow: &mut dyn UnitOfWork) {
        let (tenant, id) = (self.tenant(), self.customer.id());
        let claims = Claims::of_new(&self.customer);
        let customers = uow.customers();
        assert!(customers.insert(std::slice::from_ref(&self.customer)).is_err());
        assert!(customers.insert_free(&[&self.customer]).is_err());
        assert!(customers.taken(&claims).is_err());
        assert!(customers.find(&[by_id(&self.customer)]).is_err());
        assert!(customers.lock(&by_id(&self.customer)).is_err());
        assert!(customers.update(&self.customer, &claims).is_err());
        assert!(customers.list(tenant, None, 1).is_err());
        let subscriptions = uow.subscriptions();
        assert!(subscriptions.find(tenant, id, &self.subscription.id).is_err());
        assert!(subscriptions.put(tenant, id, &self.subscription).is_err());
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
