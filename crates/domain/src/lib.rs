//! Customers and their rules, the same for every store and every protocol.
//!
//! Values are parsed (`Email::parse("ada@example.com")?`) and are valid from then on; every error names the broken
//! rule. This crate knows no I/O, no async, no serde, no database and no protocol: the crates that read requests and
//! rows build these types and own the formats.
//!
//! Read [`customer`] first, then [`email`], whose key decides which addresses are the same. The use cases are in the
//! crate `roster-application`.

pub mod address;
pub mod base32;
pub mod country;
pub mod customer;
pub mod details;
pub mod edit;
pub mod email;
pub mod event;
pub mod external_id;
pub mod ids;
pub mod json;
pub mod merchant;
pub mod metadata;
pub mod phone;
pub mod rule;
pub mod search;
pub mod subscription;
pub mod tenant;
pub mod text;
pub mod timestamp;
pub mod webhook;

pub use address::{Address, AddressEdit, AddressPart, PostalCode};
pub use country::Country;
pub use customer::{
    Customer, CustomerEdit, CustomerParts, CustomerStatus, CustomerStatusError, EmailUse, Origin, Profile,
};
pub use details::{BusinessName, Currency, Details, DetailsEdit, Locale, TaxExemption, TimeZone};
pub use edit::Edit;
pub use email::Email;
pub use event::{ChangeReason, EventType};
pub use external_id::ExternalId;
pub use ids::{
    ApiKeyId, AttemptId, CustomerId, EndpointId, EventId, ImportId, LogEntryId, MerchantId, OperatorId, UploadId,
};
pub use json::{Json, Number, Object};
pub use merchant::{Merchant, MerchantName};
pub use metadata::{Metadata, MetadataEdit, MetadataPatch};
pub use phone::Phone;
pub use rule::Rule;
pub use search::{SearchTerm, SearchTermError, search_hashes};
pub use subscription::{PlanId, Subscription, SubscriptionId, SubscriptionStatus};
pub use tenant::{Environment, Tenant};
pub use text::{Name, TaxId, TextError};
pub use timestamp::Timestamp;
pub use webhook::{
    DisabledReason, Endpoint, EndpointDescription, EndpointEdit, EndpointSecret, EndpointSettings, EndpointStatus,
    EndpointUrl, EventTypes, Excerpt, FormerSecret, PayloadForm,
};
