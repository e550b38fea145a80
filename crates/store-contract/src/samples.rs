//! Values to try a store with.

use std::sync::atomic::{AtomicU64, Ordering};

use roster_application::{ApiKey, Digest, Scopes};
use roster_domain::{
    ApiKeyId, Customer, CustomerEdit, CustomerId, Edit, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId,
    MerchantName, Name, Profile, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp,
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
        // The other bytes take every value in turn, so that a store shows that takes them for text or signed numbers.
        random[2..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Builder::from_unix_timestamp_millis(START.unsigned_abs() + number, &random).into_uuid()
    }

    /// A merchant that no store has yet.
    pub fn merchant(&self) -> Merchant {
        let id = MerchantId::new(self.uuid());
        Merchant { id, name: MerchantName::parse(format!("Merchant {id}")).expect("a name"), created_at: at(0) }
    }

    /// A customer about whom nothing is known yet.
    pub fn customer(&self, tenant: Tenant) -> CustomerSample {
        CustomerSample {
            tenant,
            id: CustomerId::new(self.uuid()),
            profile: Profile::default(),
            email_use: EmailUse::Exclusive,
        }
    }

    /// Customers about whom nothing is known.
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
        }
    }
}

/// A customer in the making.
pub struct CustomerSample {
    tenant: Tenant,
    id: CustomerId,
    profile: Profile,
    email_use: EmailUse,
}

impl CustomerSample {
    /// Gives it an e-mail address that it insists on alone, unless it is [`shared`](CustomerSample::shared).
    pub fn email(mut self, address: &str) -> Self {
        self.profile.email = Some(email(address));
        self
    }

    /// Lets its e-mail address be somebody else's, too.
    pub fn shared(mut self) -> Self {
        self.email_use = EmailUse::Shared;
        self
    }

    /// Gives it an external identifier.
    pub fn external_id(mut self, id: &str) -> Self {
        self.profile.external_id = Some(external_id(id));
        self
    }

    /// Gives it everything at once.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The customer, as it is registered.
    pub fn build(self) -> Customer {
        Customer::register(self.tenant, self.id, self.profile, self.email_use, at(0))
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

/// A customer as it stands after an edit, a second after the samples begin.
pub fn changed(customer: &Customer, edit: CustomerEdit) -> Customer {
    customer.changed(edit, at(1000)).expect("an edit that breaks no limit")
}

/// A customer with another name.
pub fn renamed(customer: &Customer, new: &str) -> Customer {
    changed(customer, CustomerEdit { name: Edit::Set(name(new)), ..CustomerEdit::default() })
}

/// A customer with another e-mail address that it insists on alone.
pub fn with_email(customer: &Customer, address: &str) -> Customer {
    changed(customer, CustomerEdit { email: Edit::Set(email(address)), ..CustomerEdit::default() })
}

/// A customer with another external identifier.
pub fn with_external_id(customer: &Customer, id: &str) -> Customer {
    changed(customer, CustomerEdit { external_id: Edit::Set(external_id(id)), ..CustomerEdit::default() })
}

/// A customer once deleted, a second after the samples begin.
pub fn deleted(customer: &Customer) -> Customer {
    customer.deleted(at(1000))
}

/// An active subscription of which little is known.
pub fn subscription(id: &str, started_at: Timestamp) -> Subscription {
    Subscription {
        id: subscription_id(id),
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at,
        cancelled_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn subscription_id(id: &str) -> SubscriptionId {
    SubscriptionId::parse(id).expect("a name for a subscription")
}
