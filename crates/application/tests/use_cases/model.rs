//! Property test: batches of commands are answered as plain code over a list answers them, one after the other.

use std::collections::HashMap;

use proptest::prelude::*;
use roster_application::ports::{CustomerKey, CustomerRef, Write};
use roster_application::{
    AtomicError, CustomerChange, CustomerCommand, CustomerDeletion, PageSize, Precondition, Registration,
    SubscriptionReport, Upsert, WriteError,
};
use roster_domain::{
    Customer, CustomerEdit, CustomerId, Edit, Email, EmailUse, ExternalId, Name, PlanId, Profile, SubscriptionId,
    Tenant,
};
use uuid::Uuid;

use crate::service::{Service, by_external_id, change, delete, email, external_id, name, sandbox};
use crate::subscriptions::report;

/// One command of a batch. There are few identifiers, so that commands compete for them.
#[derive(Debug, Clone)]
enum Step {
    Register(Wish),
    GetOrRegister(Wish),
    Upsert { number: u8, wish: Wish },
    Change { target: Target, to: Wish },
    Delete(Target),
    Record { target: Target, subscription: u8, plan: u8 },
}

#[derive(Debug, Clone)]
struct Wish {
    in_sandbox: bool,
    email: Edit<u8>,
    external_id: Edit<u8>,
    name: Edit<u8>,
    email_use: EmailUse,
}

#[derive(Debug, Clone)]
enum Target {
    /// One of the customers that existed before the batch, live or deleted.
    Known(usize),
    ExternalId {
        in_sandbox: bool,
        number: u8,
    },
}

fn edit() -> impl Strategy<Value = Edit<u8>> {
    prop_oneof![3 => Just(Edit::Keep), 1 => Just(Edit::Clear), 4 => (0..3_u8).prop_map(Edit::Set)]
}

fn in_sandbox() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.2)
}

fn wish() -> impl Strategy<Value = Wish> {
    let email_use = prop_oneof![2 => Just(EmailUse::Exclusive), 1 => Just(EmailUse::Shared)];
    (in_sandbox(), edit(), edit(), edit(), email_use).prop_map(|(in_sandbox, email, external_id, name, email_use)| {
        Wish { in_sandbox, email, external_id, name, email_use }
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        any::<usize>().prop_map(Target::Known),
        (in_sandbox(), 0..3_u8).prop_map(|(in_sandbox, number)| Target::ExternalId { in_sandbox, number }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => wish().prop_map(Step::Register),
        2 => wish().prop_map(Step::GetOrRegister),
        2 => (0..3_u8, wish()).prop_map(|(number, wish)| Step::Upsert { number, wish }),
        3 => (target(), wish()).prop_map(|(target, to)| Step::Change { target, to }),
        1 => target().prop_map(Step::Delete),
        2 => (target(), 0..2_u8, 0..2_u8)
            .prop_map(|(target, subscription, plan)| Step::Record { target, subscription, plan }),
    ]
}

fn number_in(edit: &Edit<u8>) -> Option<u8> {
    edit.clone().into_option()
}

fn map<T>(edit: &Edit<u8>, value: impl Fn(u8) -> T) -> Edit<T> {
    match edit {
        Edit::Keep => Edit::Keep,
        Edit::Clear => Edit::Clear,
        Edit::Set(number) => Edit::Set(value(*number)),
    }
}

fn numbered_email(number: u8) -> Email {
    email(&format!("Customer{number}@example.com"))
}

fn numbered_external_id(number: u8) -> ExternalId {
    external_id(&format!("customer/{number}"))
}

fn numbered_name(number: u8) -> Name {
    name(&format!("Customer {number}"))
}

/// The commands of one batch, given the customers that the model knows before it.
struct Commands<'a> {
    tenant: Tenant,
    known: &'a [Remembered],
}

impl Commands<'_> {
    fn tenant(&self, in_sandbox: bool) -> Tenant {
        if in_sandbox { sandbox(self.tenant) } else { self.tenant }
    }

    fn key(&self, target: &Target) -> CustomerKey {
        match *target {
            Target::ExternalId { in_sandbox, number } => {
                by_external_id(self.tenant(in_sandbox), numbered_external_id(number).as_str())
            }
            Target::Known(place) => {
                let known = place.checked_rem(self.known.len()).map(|place| &self.known[place]);
                let (tenant, id) =
                    known.map_or((self.tenant, CustomerId::new(Uuid::nil())), |known| (known.tenant, known.id));
                CustomerKey { tenant, customer: CustomerRef::Id(id) }
            }
        }
    }

    fn registration(&self, wish: &Wish) -> Registration {
        Registration {
            tenant: self.tenant(wish.in_sandbox),
            profile: Profile {
                email: number_in(&wish.email).map(numbered_email),
                external_id: number_in(&wish.external_id).map(numbered_external_id),
                name: number_in(&wish.name).map(numbered_name),
                ..Profile::default()
            },
            email_use: wish.email_use,
        }
    }

    fn command(&self, step: &Step) -> CustomerCommand {
        match step {
            Step::Register(wish) => CustomerCommand::Register(self.registration(wish)),
            Step::GetOrRegister(wish) => CustomerCommand::GetOrRegister(self.registration(wish)),
            Step::Upsert { number, wish } => {
                let external_id = numbered_external_id(*number);
                CustomerCommand::Upsert(Upsert::new(external_id, self.registration(wish), Precondition::default()))
            }
            Step::Change { target, to } => {
                let edit = CustomerEdit {
                    email: map(&to.email, numbered_email),
                    email_use: to.email_use,
                    external_id: map(&to.external_id, numbered_external_id),
                    name: map(&to.name, numbered_name),
                    ..CustomerEdit::default()
                };
                change(self.key(target), edit)
            }
            Step::Delete(target) => delete(self.key(target)),
            Step::Record { target, subscription, plan } => CustomerCommand::Record(SubscriptionReport {
                plan_id: PlanId::parse(plan.to_string()).ok(),
                ..report(self.key(target), &subscription.to_string())
            }),
        }
    }
}

/// One customer, as plain code remembers it.
#[derive(Debug, Clone, PartialEq)]
struct Remembered {
    tenant: Tenant,
    id: CustomerId,
    email: Option<Email>,
    email_use: EmailUse,
    external_id: Option<ExternalId>,
    name: Option<Name>,
    version: i64,
    is_live: bool,
}

impl Remembered {
    fn new(registration: &Registration, id: CustomerId) -> Self {
        let Registration { tenant, profile, email_use } = registration.clone();
        let Profile { email, external_id, name, .. } = profile;
        Self { tenant, id, email, email_use, external_id, name, version: 1, is_live: true }
    }

    fn of(customer: &Customer) -> Self {
        let Profile { email, external_id, name, .. } = customer.profile().clone();
        Self {
            tenant: customer.tenant(),
            id: customer.id(),
            email,
            email_use: customer.parts().email_use,
            external_id,
            name,
            version: customer.version(),
            is_live: customer.is_live(),
        }
    }
}

/// The version and the plan of a subscription.
type RememberedSubscription = (i64, Option<PlanId>);

/// What the caller of a command gets.
#[derive(Debug, PartialEq)]
enum Answer {
    Written { before: Option<Box<Remembered>>, after: Box<Remembered>, subscription: Option<RememberedSubscription> },
    NotFound,
    Taken { email: Option<CustomerId>, external_id: Option<CustomerId> },
}

impl Answer {
    fn unchanged(customer: Remembered) -> Self {
        Self::Written { before: Some(Box::new(customer.clone())), after: Box::new(customer), subscription: None }
    }

    fn of(result: &Result<Write, WriteError>) -> Self {
        match result {
            Ok(write) => Self::Written {
                before: write.before().map(|one| Box::new(Remembered::of(one))),
                after: Box::new(Remembered::of(write.after())),
                subscription: write.subscription().map(|one| (one.after.version, one.after.plan_id.clone())),
            },
            Err(WriteError::NotFound) => Self::NotFound,
            Err(WriteError::Taken(taken)) => {
                Self::Taken { email: taken.email, external_id: taken.external_id.as_deref().map(Customer::id) }
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// All customers that were ever registered, oldest first, and their subscriptions.
#[derive(Default, Clone)]
struct Model {
    customers: Vec<Remembered>,
    subscriptions: HashMap<(CustomerId, SubscriptionId), RememberedSubscription>,
}

impl Model {
    fn live(&self, tenant: Tenant) -> impl DoubleEndedIterator<Item = &Remembered> {
        self.customers.iter().filter(move |one| one.tenant == tenant && one.is_live)
    }

    fn find(&self, key: &CustomerKey) -> Option<Remembered> {
        self.live(key.tenant)
            .find(|one| match &key.customer {
                CustomerRef::Id(id) => one.id == *id,
                CustomerRef::ExternalId(id) => one.external_id.as_ref() == Some(id),
            })
            .cloned()
    }

    /// Does what `command` says. A new customer gets the identifier `new`.
    fn apply(&mut self, command: &CustomerCommand, new: CustomerId) -> Answer {
        match command {
            CustomerCommand::Register(registration) => self.write(None, Remembered::new(registration, new)),
            CustomerCommand::GetOrRegister(registration) => self.get_or_register(Remembered::new(registration, new)),
            CustomerCommand::Upsert(upsert) => self.upsert(Remembered::new(upsert.registration(), new)),
            CustomerCommand::Change(CustomerChange { key, edit, .. }) => {
                let Some(before) = self.find(key) else { return Answer::NotFound };
                let mut after = before.clone();
                edit.email.clone().apply(&mut after.email);
                edit.external_id.clone().apply(&mut after.external_id);
                edit.name.clone().apply(&mut after.name);
                if after.email != before.email {
                    after.email_use = edit.email_use;
                }
                after.version += i64::from(after != before);
                self.write(Some(before), after)
            }
            CustomerCommand::Delete(CustomerDeletion { key, .. }) => {
                let Some(before) = self.find(key) else { return Answer::NotFound };
                let after = Remembered { version: before.version + 1, is_live: false, ..before.clone() };
                self.write(Some(before), after)
            }
            CustomerCommand::Record(report) => {
                let Some(customer) = self.find(&report.key.customer) else { return Answer::NotFound };
                let subscription = self.subscriptions.entry((customer.id, report.key.id.clone())).or_default();
                *subscription = (subscription.0 + 1, report.plan_id.clone());
                let subscription = Some(subscription.clone());
                Answer::Written { before: Some(Box::new(customer.clone())), after: Box::new(customer), subscription }
            }
        }
    }

    fn with_external_id_of(&self, other: &Remembered) -> Option<Remembered> {
        let has_it = |one: &&Remembered| other.external_id.is_some() && one.external_id == other.external_id;
        self.live(other.tenant).find(has_it).cloned()
    }

    fn get_or_register(&mut self, wanted: Remembered) -> Answer {
        if let Some(existing) = self.with_external_id_of(&wanted) {
            return Answer::unchanged(existing);
        }
        let has_external_id = wanted.external_id.is_some();
        let answer = self.write(None, wanted);
        let Answer::Taken { email: Some(holder), .. } = answer else { return answer };
        let holder = self.customers.iter().find(|one| one.id == holder).expect("a holder");
        let is_it = !has_external_id && holder.email_use == EmailUse::Exclusive;
        if is_it { Answer::unchanged(holder.clone()) } else { answer }
    }

    fn upsert(&mut self, wanted: Remembered) -> Answer {
        let Some(before) = self.with_external_id_of(&wanted) else { return self.write(None, wanted) };
        let mut after = Remembered { id: before.id, version: before.version, ..wanted };
        if after.email == before.email {
            after.email_use = before.email_use;
        }
        after.version += i64::from(after != before);
        self.write(Some(before), after)
    }

    fn write(&mut self, before: Option<Remembered>, after: Remembered) -> Answer {
        if let Some(taken) = self.taken(before.as_ref(), &after) {
            return taken;
        }
        match self.customers.iter_mut().find(|one| one.id == after.id) {
            Some(stored) => *stored = after.clone(),
            None => self.customers.push(after.clone()),
        }
        Answer::Written { before: before.map(Box::new), after: Box::new(after), subscription: None }
    }

    fn taken(&self, before: Option<&Remembered>, after: &Remembered) -> Option<Answer> {
        let others = || self.live(after.tenant).filter(|one| one.id != after.id);
        let keeps_email = before.is_some_and(|before| before.email == after.email);
        let mut email = None;
        if after.email.is_some() && after.email_use == EmailUse::Exclusive && !keeps_email {
            let holders = || others().filter(|one| one.email == after.email);
            let exclusive = holders().find(|one| one.email_use == EmailUse::Exclusive);
            email = exclusive.or_else(|| holders().next()).map(|one| one.id);
        }
        let has_same_id = |one: &&Remembered| after.external_id.is_some() && one.external_id == after.external_id;
        let external_id = others().find(has_same_id).map(|one| one.id);
        (after.is_live && (email.is_some() || external_id.is_some())).then_some(Answer::Taken { email, external_id })
    }
}

/// Runs `commands` as one batch, and asserts that each is answered as by the model, one after the other.
fn run_batch(service: &Service, model: &mut Model, commands: &[CustomerCommand]) {
    for (command, result) in commands.iter().zip(service.write_all(commands.to_vec())) {
        assert_eq!(Answer::of(&result), model.apply(command, new_id(&result)), "{command:?} in {commands:?}");
    }
}

/// Runs `commands` all or nothing, and asserts that they are answered as by the model, one after the other: up to the first
/// that is refused, because of which the model forgets them.
fn run_atomically(service: &Service, model: &mut Model, commands: &[CustomerCommand]) {
    let mut after = model.clone();
    match service.roster.write_atomically(service.tenant, commands.to_vec(), None, None).result {
        Ok(writes) => {
            for (command, write) in commands.iter().zip(writes.into_iter().map(Ok)) {
                assert_eq!(Answer::of(&write), after.apply(command, new_id(&write)), "{command:?} in {commands:?}");
            }
            *model = after;
        }
        Err(AtomicError::Refused { place, error }) => {
            for (number, command) in commands[..place].iter().enumerate() {
                let answer = after.apply(command, CustomerId::new(Uuid::from_u128(number as u128 + 1)));
                assert!(matches!(answer, Answer::Written { .. }), "{command:?} before {place} in {commands:?}");
            }
            let expected = after.apply(&commands[place], CustomerId::new(Uuid::nil()));
            assert_same_refusal(&Answer::of(&Err(error)), &expected, commands);
        }
        Err(error @ (AtomicError::KeyReused | AtomicError::Store(_))) => panic!("{error:?}"),
    }
}

/// The identifiers of customers that were registered and forgotten are the model's own.
fn assert_same_refusal(answer: &Answer, expected: &Answer, commands: &[CustomerCommand]) {
    match (answer, expected) {
        (Answer::Taken { email: a, external_id: b }, Answer::Taken { email: c, external_id: d }) => {
            assert_eq!((a.is_some(), b.is_some()), (c.is_some(), d.is_some()), "{commands:?}");
        }
        _ => assert_eq!(answer, expected, "{commands:?}"),
    }
}

fn new_id(result: &Result<Write, WriteError>) -> CustomerId {
    let created = result.as_ref().ok().filter(|write| write.before().is_none());
    created.map_or(CustomerId::new(Uuid::nil()), |write| write.after().id())
}

/// Asserts that the store has the live customers of the model, and that each is found by its external identifier.
fn assert_same(service: &Service, model: &Model, tenant: Tenant) {
    let listed: Vec<_> = service.list(tenant, None, 1000).customers.iter().map(Remembered::of).collect();
    assert_eq!(listed, model.live(tenant).rev().cloned().collect::<Vec<_>>());
    for number in 0..3 {
        let key = by_external_id(tenant, numbered_external_id(number).as_str());
        assert_eq!(service.find_by(key.clone()).as_ref().map(Remembered::of), model.find(&key));
    }
    for customer in listed {
        let key = CustomerKey { tenant, customer: CustomerRef::Id(customer.id) };
        let stored = service.roster.list_subscriptions(&key, None, PageSize::MAX).expect("a page").items;
        for one in &stored {
            let remembered = model.subscriptions.get(&(customer.id, one.id.clone()));
            assert_eq!(Some(&(one.version, one.plan_id.clone())), remembered);
        }
        assert_eq!(stored.len(), model.subscriptions.keys().filter(|(id, _)| *id == customer.id).count());
    }
}

proptest! {
    #[test]
    fn a_batch_is_answered_as_its_commands_would_be_one_after_the_other(
        batches in proptest::collection::vec((any::<bool>(), proptest::collection::vec(step(), 1..10)), 1..8)
    ) {
        let service = Service::start();
        let mut model = Model::default();
        for (is_atomic, steps) in &batches {
            let known = model.customers.clone();
            let commands = Commands { tenant: service.tenant, known: &known };
            let commands: Vec<CustomerCommand> = steps.iter().map(|step| commands.command(step)).collect();
            let run = if *is_atomic { run_atomically } else { run_batch };
            run(&service, &mut model, &commands);
            for tenant in [service.tenant, sandbox(service.tenant)] {
                assert_same(&service, &model, tenant);
            }
        }
    }
}
