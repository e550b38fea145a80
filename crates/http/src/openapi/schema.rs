//! Schemas of the values in requests and responses, with the bounds that the domain has.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use roster_application::{Action, Role, Scope};
use roster_domain::{
    AddressPart, ApiKeyId, AttemptId, BusinessName, Country, Currency, CustomerId, CustomerStatus, Email,
    EndpointDescription, EndpointId, EndpointUrl, Environment, EventId, EventType, ExternalId, ImportId, Locale,
    LogEntryId, MerchantId, MerchantName, Metadata, MetadataEdit, Name, OperatorId, PayloadForm, Phone, PlanId,
    PostalCode, SearchTerm, SubscriptionId, SubscriptionStatus, TaxExemption, TaxId, TimeZone, Timestamp, UploadId,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::respond;

/// A pattern of texts without control characters.
const NO_CONTROLS: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";

/// A value that documents describe once, under its name.
pub(crate) trait Described {
    /// The name of its schema.
    const NAME: &'static str;

    /// Its schema.
    fn schema(generator: &mut SchemaGenerator) -> Value;
}

impl<T: Described> Described for &T {
    const NAME: &'static str = T::NAME;

    fn schema(generator: &mut SchemaGenerator) -> Value {
        T::schema(generator)
    }
}

/// A value in a response that is written as the text it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: AsRef<str>> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref())
    }
}

/// A value in a response that is written by its `Display`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Metadata in a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetadataView<'a>(pub(crate) &'a Metadata);

impl Serialize for MetadataView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        respond::metadata(self.0, serializer)
    }
}

impl JsonSchema for MetadataView<'_> {
    fn schema_name() -> Cow<'static, str> {
        Metadata::NAME.into()
    }

    fn schema_id() -> Cow<'static, str> {
        Metadata::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of(Metadata::schema(generator))
    }
}

/// Stands for a value of the type in `#[schemars(with = "…")]`.
pub(crate) struct Of<T>(PhantomData<T>);

macro_rules! named_schema {
    ($($wrapper:ident),+) => {$(
        impl<T: Described> JsonSchema for $wrapper<T> {
            fn schema_name() -> Cow<'static, str> {
                T::NAME.into()
            }

            fn schema_id() -> Cow<'static, str> {
                T::NAME.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                schema_of(T::schema(generator))
            }
        }
    )+};
}

named_schema!(Text, Shown, Of);

/// Makes a schema of JSON.
pub(crate) fn schema_of(value: Value) -> Schema {
    value.try_into().expect("a schema is an object or a boolean")
}

/// The same schema, with `null` as one more value.
pub(crate) fn nullable(mut schema: Schema) -> Schema {
    if let Some(one) = schema.get("type").filter(|one| one.is_string()).cloned() {
        schema.insert("type".to_owned(), json!([one, "null"]));
        schema
    } else if let Some(others) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        others.push(json!({ "type": "null" }));
        schema
    } else {
        schema_of(json!({ "anyOf": [schema, { "type": "null" }] }))
    }
}

macro_rules! described {
    ($($name:ident as $schema:literal: $value:expr;)+) => {$(
        impl Described for $name {
            const NAME: &'static str = $schema;

            fn schema(_: &mut SchemaGenerator) -> Value {
                $value
            }
        }
    )+};
}

described! {
    CustomerId as "CustomerId": id(
        Self::PREFIX,
        "Unique identifier: `cus_` and 26 characters of lower-case Crockford base32, which are the same on every surface.",
        "01h2xcejqtf2nbrexx3vqjhp41",
    );
    OperatorId as "OperatorId": id(Self::PREFIX, "Names the operator; it is no secret.", "01h2xcejqtf2nbrexx3vqjhp49");
    LogEntryId as "LogEntryId": id(Self::PREFIX, "Names the entry.", "01h2xcejqtf2nbrexx3vqjhp4a");
    Action as "OperatorAction": names(&Self::ALL, "What was done.");
    Role as "OperatorRole": names(&Self::ALL, "What an operator may do: `read` to look, `admin` to change things, too.");
    MerchantName as "MerchantName": text(Self::MIN, Self::MAX, "The merchant's display name.", "Acme Ltd.");
    MerchantId as "MerchantId": id(Self::PREFIX, "Organization identifier.", "01h2xcejqtf2nbrexx3vqjhp42");
    ApiKeyId as "ApiKeyId": id(Self::PREFIX, "Names the key; it is no secret.", "01h2xcejqtf2nbrexx3vqjhp43");
    EndpointId as "WebhookId": id(Self::PREFIX, "Names the webhook endpoint.", "01h2xcejqtf2nbrexx3vqjhp45");
    UploadId as "ImportId": id(Self::PREFIX, "Names the import.", "01h2xcejqtf2nbrexx3vqjhp47");
    ImportId as "ImportRequestId": id(
        Self::PREFIX,
        "What the events of imported customers have as `request_id`.",
        "01h2xcejqtf2nbrexx3vqjhp48",
    );
    AttemptId as "AttemptId": id(Self::PREFIX, "Names the attempt.", "01h2xcejqtf2nbrexx3vqjhp46");
    EndpointUrl as "WebhookUrl": json!({
        "description": "Where events are sent to: `https`, without a user name, and with a host that has a public address, unless the \
                        operator allows others (`webhooks.allow_private`).",
        "type": "string",
        "format": "uri",
        "maxLength": Self::MAX,
        "examples": ["https://example.com/hooks"],
    });
    EndpointDescription as "WebhookDescription": text(Self::MIN, Self::MAX, "What the endpoint is for.", "Invoices");
    PayloadForm as "WebhookPayload": names(
        &Self::ALL,
        "`thin`: the event alone; `with_customer`: with `customer`, the customer as it is when the event is sent, or `null` if it is \
         deleted.",
    );
    EventId as "EventId": id(Self::PREFIX, "Names the event.", "0000000000000123c8j9k0m1n2");
    EventType as "EventType": names(&Self::ALL, "What happened.");
    Environment as "Environment": names(&Self::ALL, "The environment of the credential.");
    CustomerStatus as "CustomerStatus": names(
        &Self::ALL,
        "An archived customer was put aside. It keeps its identifiers, and is seen and changed as any other.",
    );
    SubscriptionStatus as "SubscriptionStatus": names(
        &Self::ALL,
        "How the subscription is. One that is active or trialing counts as active on the other surfaces.",
    );
    TaxExemption as "TaxExempt": names(
        &Self::ALL,
        "Whether the customer pays taxes: `none` if it does, `exempt` if it does not, `reverse` if it pays them to the \
         state itself (reverse charge). `null` if that is not known.",
    );
    Scope as "Scope": names(&Self::ALL, "One thing that a credential allows its holder to do.");
    Name as "Name": text(Self::MIN, Self::MAX, "Display name.", "Jane Doe");
    TaxId as "TaxId": text(Self::MIN, Self::MAX, "Tax identification number, kept as typed.", "12-3456789");
    BusinessName as "BusinessName":
        text(Self::MIN, Self::MAX, "The name of the customer's business.", "Analytical Engines Ltd");
    AddressPart as "AddressPart": text(Self::MIN, Self::MAX, "A line, a city or a state of an address.", "123 Main St");
    PostalCode as "PostalCode": text(Self::MIN, Self::MAX, "Postal code.", "10001");
    PlanId as "PlanId": text(Self::MIN, Self::MAX, "The billing engine's name for a plan.", "plan_pro");
    SubscriptionId as "SubscriptionId": text(
        Self::MIN,
        Self::MAX,
        "The billing engine's name for a subscription, unique for its customer.",
        "sub_12345",
    );
    ExternalId as "ExternalId": json!({
        "description": format!(
            "External identifier from your system, unique among the live customers of the tenant, free again after \
             deletion. It may not start with `{}`.",
            Self::RESERVED_PREFIX
        ),
        "type": "string",
        "minLength": Self::MIN,
        "maxLength": Self::MAX,
        "pattern": NO_CONTROLS.replacen('^', &format!("^(?!{})", Self::RESERVED_PREFIX), 1),
        "examples": ["usr_12345"],
    });
    Email as "Email": json!({
        "description": format!(
            "E-mail address, at most {} bytes, of which at most {} before the `@`. It is kept as typed, without white \
             space at its ends. Two are the same if they differ in case, in Unicode composition or in the spelling of an \
             international domain only.",
            Self::MAX_BYTES,
            Self::MAX_LOCAL_BYTES
        ),
        "type": "string",
        "format": "idn-email",
        "maxLength": Self::MAX_BYTES,
        "examples": ["user@example.com"],
    });
    SearchTerm as "SearchTerm": json!({
        "type": "string",
        "minLength": 1,
        "maxLength": Self::MAX,
        "examples": ["lovelace"],
    });
    Phone as "Phone": json!({
        "description": "Phone number in E.164 form.",
        "type": "string",
        "pattern": r"^\+[1-9][0-9]{1,14}$",
        "examples": ["+14155552671"],
    });
    Locale as "Locale": json!({
        "description": "Language: a valid tag of BCP 47. It is read in any case and answered in the capitalisation that \
                        BCP 47 recommends.",
        "type": "string",
        "maxLength": Self::MAX,
        "examples": ["en", "pt-BR"],
    });
    TimeZone as "TimeZone": json!({
        "description": "The name of a time zone in the IANA Time Zone Database. It is read in any case and answered as \
                        the database spells it.",
        "type": "string",
        "examples": ["Europe/Paris"],
    });
    Currency as "Currency": json!({
        "description": "An active code of ISO 4217. It is read in any case and answered in upper case.",
        "type": "string",
        "pattern": "^[A-Za-z]{3}$",
        "examples": ["USD"],
    });
    Country as "Country": json!({
        "description": "Assigned ISO 3166-1 alpha-2 code. It is read in any case and answered in upper case.",
        "type": "string",
        "enum": countries(),
        "examples": ["US"],
    });
    Timestamp as "Timestamp": json!({
        "description": "RFC 3339 in UTC with milliseconds.",
        "type": "string",
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        "examples": ["2025-01-15T12:00:00.000Z"],
    });
}

/// Metadata reads and writes the same values.
macro_rules! metadata {
    ($($name:ident),+) => {$(
        impl Described for $name {
            const NAME: &'static str = "Metadata";

            fn schema(generator: &mut SchemaGenerator) -> Value {
                json!({
                    "description": format!(
                        "Arbitrary key-value metadata: at most {} bytes as compact JSON and {} levels deep. Numbers keep \
                         every digit. Control characters are refused in keys, NUL in values.",
                        thousands(Metadata::MAX_BYTES),
                        Metadata::MAX_LEVELS
                    ),
                    "type": "object",
                    "propertyNames": { "pattern": NO_CONTROLS },
                    "additionalProperties": generator.subschema_for::<Of<MetadataValue>>(),
                    "examples": [{ "plan": "pro" }],
                })
            }
        }
    )+};
}

metadata!(Metadata, MetadataEdit);

/// A value in metadata.
struct MetadataValue;

impl Described for MetadataValue {
    const NAME: &'static str = "MetadataValue";

    fn schema(generator: &mut SchemaGenerator) -> Value {
        let inner = generator.subschema_for::<Of<Self>>();
        json!({
            "description": "Any JSON value, without NUL in its strings and without control characters in its keys.",
            "pattern": r"^[^\u0000]*$",
            "items": inner,
            "propertyNames": { "pattern": NO_CONTROLS },
            "additionalProperties": inner,
        })
    }
}

/// A time as it is read: in any offset and of any precision.
pub(crate) fn time(about: &str, example: &Value) -> Value {
    // Removes the reference to the form in which times are written.
    let any_of = Value::Null;
    json!({
        "anyOf": any_of,
        "description": about,
        "type": ["string", "null"],
        "format": "date-time",
        "examples": [example],
    })
}

/// A number with a comma in front of its thousands, as texts write it.
pub(crate) fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", thousands(number / 1000), number % 1000) }
}

/// The schema of an identifier with this prefix.
pub(crate) fn id(prefix: &str, description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "pattern": format!("^{prefix}[0-7][0-9a-hjkmnp-tv-z]{{25}}$"),
        "examples": [format!("{prefix}{example}")],
    })
}

fn names<T: AsRef<str>>(all: &[T], description: &str) -> Value {
    let names: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    json!({ "description": description, "type": "string", "enum": names })
}

fn text(min: usize, max: usize, description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "minLength": min,
        "maxLength": max,
        "pattern": NO_CONTROLS,
        "examples": [example],
    })
}

/// Every assigned code: two letters that are one.
fn countries() -> Vec<String> {
    let letters = || (b'A'..=b'Z').map(char::from);
    let codes = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    codes.filter(|code| Country::parse(code).is_ok()).collect()
}
