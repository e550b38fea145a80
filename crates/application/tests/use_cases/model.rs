//! Whatever callers do, in whatever order: the service answers as a few lines of plain code over a list would.

use proptest::prelude::*;
use roster_application::ports::{CustomerKey, CustomerRef, Taken};
use roster_application::{ChangeError, PageSize, RegisterError, Registration};
use roster_domain::{Customer, CustomerEdit, CustomerId, Edit, EmailUse, Profile, Tenant};

use crate::service::{Service, email, external_id, sandbox};

/// What a caller does. Identifiers are few, so that callers meet; those that are `None` are absent.
#[derive(Debug, Clone)]
enum Deed {
    Register(Vec<Wish>),
    Change { whom: usize, to: Wish },
    Delete { whom: usize },
}

#[derive(Debug, Clone)]
struct Wish {
    in_sandbox: bool,
    email: Option<u8>,
    external_id: Option<u8>,
    shared: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let identifier = || proptest::option::weighted(0.8, 0..3_u8);
    (proptest::bool::weighted(0.2), identifier(), identifier(), proptest::bool::weighted(0.3))
        .prop_map(|(in_sandbox, email, external_id, shared)| Wish { in_sandbox, email, external_id, shared })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => proptest::collection::vec(wish(), 1..5).prop_map(Deed::Register),
        2 => (any::<usize>(), wish()).prop_map(|(whom, to)| Deed::Change { whom, to }),
        1 => any::<usize>().prop_map(|whom| Deed::Delete { whom }),
    ]
}

/// One customer, as plain code remembers it.
#[derive(Debug, Clone)]
struct Remembered {
    id: CustomerId,
    tenant: Tenant,
    email: Option<u8>,
    external_id: Option<u8>,
    shared: bool,
    deleted: bool,
}

/// All customers there ever were.
#[derive(Default)]
struct Model(Vec<Remembered>);

impl Model {
    fn live(&self, tenant: Tenant) -> impl DoubleEndedIterator<Item = &Remembered> {
        self.0.iter().filter(move |one| one.tenant == tenant && !one.deleted)
    }

    fn has_email(&self, tenant: Tenant, email: Option<u8>, but: Option<CustomerId>) -> bool {
        email.is_some() && self.live(tenant).any(|one| one.email == email && Some(one.id) != but)
    }

    fn with_external_id(&self, tenant: Tenant, id: Option<u8>, but: Option<CustomerId>) -> Option<CustomerId> {
        id?;
        self.live(tenant).find(|one| one.external_id == id && Some(one.id) != but).map(|one| one.id)
    }
}

fn email_edit(number: Option<u8>) -> Edit<roster_domain::Email> {
    number.map_or(Edit::Clear, |number| Edit::Set(email(&format!("Customer{number}@example.com"))))
}

fn external_id_edit(number: Option<u8>) -> Edit<roster_domain::ExternalId> {
    number.map_or(Edit::Clear, |number| Edit::Set(external_id(&format!("customer/{number}"))))
}

fn email_use(shared: bool) -> EmailUse {
    if shared { EmailUse::Shared } else { EmailUse::Exclusive }
}

/// Says whether those in the way are whom the model expects; any of several who share an address may be named.
fn assert_taken(model: &Model, tenant: Tenant, taken: &Taken, email_taken: bool, namesake: Option<CustomerId>) {
    assert_eq!(taken.email.is_some(), email_taken);
    if let Some(holder) = taken.email {
        assert!(model.live(tenant).any(|one| one.id == holder && one.email.is_some()), "{holder} has no address");
    }
    assert_eq!(taken.external_id.as_deref().map(Customer::id), namesake);
}

fn register(service: &Service, model: &mut Model, wishes: &[Wish]) {
    let tenant = |wish: &Wish| if wish.in_sandbox { sandbox(service.tenant) } else { service.tenant };
    let registrations = wishes.iter().map(|wish| Registration {
        tenant: tenant(wish),
        profile: Profile {
            email: email_edit(wish.email).into_option(),
            external_id: external_id_edit(wish.external_id).into_option(),
            ..Profile::default()
        },
        email_use: email_use(wish.shared),
    });
    let results = service.roster.register_customers(registrations.collect());
    assert_eq!(results.len(), wishes.len());
    for (wish, result) in wishes.iter().zip(results) {
        let tenant = tenant(wish);
        let email_taken = !wish.shared && model.has_email(tenant, wish.email, None);
        let namesake = model.with_external_id(tenant, wish.external_id, None);
        match result {
            Ok(customer) => {
                assert!(!email_taken && namesake.is_none(), "{wish:?} was registered");
                let Wish { email, external_id, shared, .. } = *wish;
                let id = customer.id();
                model.0.push(Remembered { id, tenant, email, external_id, shared, deleted: false });
            }
            Err(RegisterError::Taken(taken)) => assert_taken(model, tenant, &taken, email_taken, namesake),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn change(service: &Service, model: &mut Model, whom: usize, to: &Wish) {
    let Some(place) = whom.checked_rem(model.0.len()) else { return };
    let before = model.0[place].clone();
    let key = CustomerKey { tenant: before.tenant, customer: CustomerRef::Id(before.id) };
    let edit = CustomerEdit {
        email: email_edit(to.email),
        email_use: email_use(to.shared),
        external_id: external_id_edit(to.external_id),
        ..CustomerEdit::default()
    };
    let result = service.roster.change_customer(&key, &edit);
    let moves = before.email != to.email;
    let email_taken = moves && !to.shared && model.has_email(before.tenant, to.email, Some(before.id));
    let namesake = model.with_external_id(before.tenant, to.external_id, Some(before.id));
    match result {
        Ok(_) => {
            assert!(!before.deleted && !email_taken && namesake.is_none(), "{before:?} became {to:?}");
            let shared = if moves { to.shared } else { before.shared };
            model.0[place] = Remembered { email: to.email, external_id: to.external_id, shared, ..before };
        }
        Err(ChangeError::NotFound) => assert!(before.deleted, "{before:?} is there"),
        Err(ChangeError::Taken(taken)) => assert_taken(model, before.tenant, &taken, email_taken, namesake),
        Err(error) => panic!("{error:?}"),
    }
}

fn delete(service: &Service, model: &mut Model, whom: usize) {
    let Some(place) = whom.checked_rem(model.0.len()) else { return };
    let one = &mut model.0[place];
    let key = CustomerKey { tenant: one.tenant, customer: CustomerRef::Id(one.id) };
    assert_eq!(service.roster.delete_customer(&key).is_ok(), !one.deleted);
    one.deleted = true;
}

/// Asserts that the list of a tenant is what the model remembers, and that each is found by its external identifier.
fn assert_same(service: &Service, model: &Model, tenant: Tenant) {
    let page = service.roster.list_customers(tenant, None, PageSize::MAX).expect("a page");
    let listed: Vec<_> = page
        .items
        .iter()
        .map(|one| {
            (one.id(), one.email_key().map(str::to_owned), one.profile().external_id.clone(), one.parts().email_use)
        })
        .collect();
    let remembered: Vec<_> = model
        .live(tenant)
        .rev()
        .map(|one| {
            let key = email_edit(one.email).into_option().map(|email| email.key().to_owned());
            (one.id, key, external_id_edit(one.external_id).into_option(), email_use(one.shared))
        })
        .collect();
    assert_eq!(listed, remembered);
    for number in 0..3 {
        let id = external_id_edit(Some(number)).into_option().expect("set");
        let key = CustomerKey { tenant, customer: CustomerRef::ExternalId(id) };
        let found = service.find_by(key);
        assert_eq!(found.map(|one| one.id()), model.with_external_id(tenant, Some(number), None));
    }
}

proptest! {
    #[test]
    fn the_service_answers_as_plain_code_over_a_list_would(deeds in proptest::collection::vec(deed(), 1..25)) {
        let service = Service::start();
        let mut model = Model::default();
        for deed in &deeds {
            match deed {
                Deed::Register(wishes) => register(&service, &mut model, wishes),
                Deed::Change { whom, to } => change(&service, &mut model, *whom, to),
                Deed::Delete { whom } => delete(&service, &mut model, *whom),
            }
            for tenant in [service.tenant, sandbox(service.tenant)] {
                assert_same(&service, &model, tenant);
            }
        }
    }
}
