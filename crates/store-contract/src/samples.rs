//! Values to try a store with.

use std::sync::atomic::{AtomicU64, Ordering};

use roster_application::ports::{SubscriptionWrite, Write};
use roster_application::{ApiKey, Digest, Scopes, json};
use roster_domain::{
    ApiKeyId, Customer, CustomerEdit, CustomerId, CustomerStatus, Edit, Email, EmailUse, Environment, ExternalId, Json,
    Merchant, MerchantId, MerchantName, Metadata, Name, Profile, Subscription, SubscriptionId, SubscriptionStatus,
    Tenant, Timestamp,
};
use uuid::{Builder, Uuid};

/// 2025-01-15T12:00:00Z: when the samples begin.
const START: i64 = 1_736_942_400_000;

/// The point in time `millis` milliseconds after the samples begin.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis).expect("a time of this century")
}

/// Makes values that are all different, the same ones in every run.
#[derive(Default)]
pub struct Samples {
    made: AtomicU64,
}

impl Samples {
    /// A version 7 UUID greater than all before it.
    pub fn uuid(&self) -> Uuid {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut random = [0; 10];
        // The other bytes take every value in turn: a store that treats them as text or as signed numbers fails.
        random[2..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Builder::from_unix_timestamp_millis(START.unsigned_abs() + number, &random).into_uuid()
    }

    /// A merchant that no store has yet.
    pub fn merchant(&self) -> Merchant {
        let id = MerchantId::new(self.uuid());
        Merchant {
            id,
            name: MerchantName::parse(format!("Merchant {id}")).expect("a name"),
            created_at: at(0),
            disabled_at: None,
        }
    }

    /// A customer with no profile yet.
    pub fn customer(&self, tenant: Tenant) -> CustomerSample {
        CustomerSample {
            tenant,
            id: CustomerId::new(self.uuid()),
            profile: Profile::default(),
            email_use: EmailUse::Exclusive,
            created_at: at(0),
        }
    }

    /// Customers with no profile.
    pub fn customers(&self, tenant: Tenant, count: usize) -> Vec<Customer> {
        (0..count).map(|_| self.customer(tenant).build()).collect()
    }

    /// An API key that never expires.
    pub fn api_key(&self, tenant: Tenant) -> ApiKey {
        let id = ApiKeyId::new(self.uuid());
        let mut digest = [0xff; 32];
        digest[..16].copy_from_slice(&id.uuid().as_u128().reverse_bits().to_be_bytes());
        let digest = Digest(digest);
        ApiKey {
            id,
            tenant,
            name: None,
            scopes: Scopes::DEFAULT,
            digest,
            created_at: at(0),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            successor: None,
        }
    }
}

/// A customer that is not registered yet.
pub struct CustomerSample {
    tenant: Tenant,
    id: CustomerId,
    profile: Profile,
    email_use: EmailUse,
    created_at: Timestamp,
}

impl CustomerSample {
    /// Creates it so many milliseconds after the samples begin.
    pub fn at(mut self, millis: i64) -> Self {
        self.created_at = at(millis);
        self
    }

    /// Gives it metadata, an object as JSON.
    pub fn metadata(mut self, text: &str) -> Self {
        self.profile.metadata = metadata(text);
        self
    }

    /// Gives it an e-mail address, exclusively unless it is [`shared`](CustomerSample::shared).
    pub fn email(mut self, address: &str) -> Self {
        self.profile.email = Some(email(address));
        self
    }

    /// Allows other customers to have its e-mail address.
    pub fn shared(mut self) -> Self {
        self.email_use = EmailUse::Shared;
        self
    }

    /// Gives it an external identifier.
    pub fn external_id(mut self, id: &str) -> Self {
        self.profile.external_id = Some(external_id(id));
        self
    }

    /// Gives it a whole profile.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The customer, as it is registered.
    pub fn build(self) -> Customer {
        Customer::register(self.tenant, self.id, self.profile, self.email_use, self.created_at)
    }
}

pub fn email(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

pub fn external_id(id: &str) -> ExternalId {
    ExternalId::parse(id).expect("an external identifier")
}

pub fn name(name: &str) -> Name {
    Name::parse(name).expect("a name")
}

/// The live tenant of a merchant.
pub fn live(merchant: &Merchant) -> Tenant {
    Tenant { merchant: merchant.id, environment: Environment::Live }
}

/// The other environment of the same merchant.
pub fn other_environment(tenant: Tenant) -> Tenant {
    let environment = match tenant.environment {
        Environment::Live => Environment::Sandbox,
        Environment::Sandbox => Environment::Live,
    };
    Tenant { environment, ..tenant }
}

/// A customer after an edit, a second after the samples begin.
pub fn changed(customer: &Customer, edit: CustomerEdit) -> Customer {
    customer.changed(edit, at(1000)).expect("an edit that breaks no limit")
}

/// A customer with another name.
pub fn renamed(customer: &Customer, new: &str) -> Customer {
    changed(customer, CustomerEdit { name: Edit::Set(name(new)), ..CustomerEdit::default() })
}

/// An active customer, archived.
pub fn archived(customer: &Customer) -> Customer {
    changed(customer, CustomerEdit { status: Some(CustomerStatus::Archived), ..CustomerEdit::default() })
}

/// An archived customer, active again.
pub fn activated(customer: &Customer) -> Customer {
    changed(customer, CustomerEdit { status: Some(CustomerStatus::Active), ..CustomerEdit::default() })
}

/// A customer with another e-mail address, which it has exclusively.
pub fn with_email(customer: &Customer, address: &str) -> Customer {
    changed(customer, CustomerEdit { email: Edit::Set(email(address)), ..CustomerEdit::default() })
}

/// A customer with another external identifier.
pub fn with_external_id(customer: &Customer, id: &str) -> Customer {
    changed(customer, CustomerEdit { external_id: Edit::Set(external_id(id)), ..CustomerEdit::default() })
}

/// A customer with another external identifier and another e-mail address, which it has exclusively.
pub fn with_identifiers(customer: &Customer, id: &str, address: &str) -> Customer {
    let (external_id, email) = (Edit::Set(external_id(id)), Edit::Set(email(address)));
    changed(customer, CustomerEdit { external_id, email, ..CustomerEdit::default() })
}

/// A customer with another e-mail address, which other customers may have.
pub fn with_shared_email(customer: &Customer, address: &str) -> Customer {
    let edit =
        CustomerEdit { email: Edit::Set(email(address)), email_use: EmailUse::Shared, ..CustomerEdit::default() };
    changed(customer, edit)
}

/// A customer without e-mail address and external identifier.
pub fn without_identifiers(customer: &Customer) -> Customer {
    changed(customer, CustomerEdit { email: Edit::Clear, external_id: Edit::Clear, ..CustomerEdit::default() })
}

/// A customer after its deletion, a second after the samples begin.
pub fn deleted(customer: &Customer) -> Customer {
    customer.deleted(at(1000))
}

/// The write that stores a new customer.
pub fn creation(customer: &Customer) -> Write {
    Write::create(customer.clone())
}

/// The write that stores `after` in place of `before`.
pub fn change_of(before: &Customer, after: &Customer) -> Write {
    Write::change(before.clone(), after.clone())
}

/// The write that deletes a customer.
pub fn deletion(customer: &Customer) -> Write {
    change_of(customer, &deleted(customer))
}

/// The write that stores a subscription of `customer` in place of `before`.
pub fn report(customer: &Customer, before: Option<&Subscription>, after: &Subscription) -> Write {
    Write::record(customer.clone(), SubscriptionWrite { before: before.cloned(), after: after.clone() })
}

/// A new, active subscription with no plan and no name.
pub fn subscription(id: &str, started_at: Timestamp) -> Subscription {
    Subscription {
        id: subscription_id(id),
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at,
        cancelled_at: None,
        details: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The next version of a subscription, with another name.
pub fn renamed_subscription(before: &Subscription, new: &str) -> Subscription {
    Subscription { name: Some(name(new)), version: before.version + 1, ..before.clone() }
}

pub fn subscription_id(id: &str) -> SubscriptionId {
    SubscriptionId::parse(id).expect("an id of a subscription")
}

pub fn metadata(json: &str) -> Metadata {
    let Ok(Json::Object(object)) = json::read(json.as_bytes()) else { panic!("not an object: {json}") };
    Metadata::new(&object).expect("metadata that keeps the limits")
}
