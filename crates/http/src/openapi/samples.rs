//! Failures for the examples of documents.

use roster_application::json::Pointer;
use roster_application::ports::Taken;
use roster_domain::{
    Country, Customer, CustomerId, EmailUse, Environment, MerchantId, Profile, Rule as _, Tenant, Timestamp,
};

use crate::failure::{Failure, Fault, Place};
use crate::given::Given;

/// The 26 characters of the customers in examples.
pub(crate) const SUFFIX: &str = "01h2xcejqtf2nbrexx3vqjhp41";

/// Another customer has the e-mail address.
pub(crate) fn email_taken() -> Failure {
    Failure::Taken(Taken { email: CustomerId::from_suffix(SUFFIX), external_id: None })
}

/// Another customer has the external identifier.
pub(crate) fn external_id_taken() -> Failure {
    let id = CustomerId::from_suffix(SUFFIX).expect("26 characters");
    let merchant = MerchantId::from_suffix(SUFFIX).expect("26 characters");
    let tenant = Tenant { merchant, environment: Environment::Live };
    let now = Timestamp::from_millis(0).expect("a time");
    let customer = Customer::register(tenant, id, Profile::default(), EmailUse::Exclusive, now);
    Failure::Taken(Taken { email: None, external_id: Some(Box::new(customer)) })
}

/// A country in the body that is none.
pub(crate) fn invalid_country(at: Pointer) -> Failure {
    let given = "Britain";
    let rule = Country::parse(given).expect_err("no code");
    Fault { place: Place::Body(at), code: rule.code(), detail: rule.to_string() }.given(&Given::of(given)).into()
}

/// A parameter that the query must not have.
pub(crate) fn unknown_parameter() -> Failure {
    crate::request::query::unknown_parameter("limt".to_owned()).into()
}
