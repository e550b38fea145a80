//! What a file may have of a customer, each listed once: its name, how it is shown, and how it is read.

use roster_domain::{
    AddressPart, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerStatus, Edit, Email, EmailUse,
    ExternalId, Locale, Name, Phone, PostalCode, Rule, TaxExemption, TaxId, TimeZone,
};

/// Why a text is not the value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name of the rule.
    pub code: &'static str,
    /// The rule.
    pub rule: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, rule: impl Into<String>) -> Self {
        Self { code, rule: rule.into() }
    }
}

impl<R: Rule> From<R> for Refused {
    fn from(rule: R) -> Self {
        Self { code: rule.code(), rule: rule.to_string() }
    }
}

macro_rules! fields {
    ($($field:ident $name:literal: |$customer:ident| $shown:expr, |$edit:ident, $text:ident| $read:expr;)+) => {
        /// A field of a customer that is one text in a file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`")]
                $field,
            )+
        }

        impl Field {
            /// All of them, in the order of the columns of Roster's own files.
            pub const ALL: &[Self] = &[$(Self::$field),+];

            /// Its name in Roster's own files and in mappings.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)+
                }
            }

            /// Its value. `None` if it is absent.
            #[must_use]
            pub fn of(self, customer: &Customer) -> Option<&str> {
                match self {
                    $(Self::$field => { let $customer = customer; $shown })+
                }
            }

            /// Sets it to a text.
            pub(crate) fn set(self, edit: &mut CustomerEdit, text: &str) -> Result<(), Refused> {
                match self {
                    $(Self::$field => { let ($edit, $text) = (edit, text); $read; })+
                }
                Ok(())
            }
        }
    };
}

fields! {
    ExternalId "external_id":
        |customer| text(customer.profile().external_id.as_ref()),
        |edit, text| edit.external_id = Edit::Set(ExternalId::parse(text)?);
    Email "email":
        |customer| text(customer.profile().email.as_ref()), |edit, text| edit.email = Edit::Set(Email::parse(text)?);
    AllowDuplicateEmail "allow_duplicate_email":
        |customer| is_shared(customer).then_some("true"),
        |edit, text| edit.email_use = match text {
            "true" => EmailUse::Shared,
            "false" => EmailUse::Exclusive,
            _ => return Err(Refused::new("invalid_boolean", "must be true or false")),
        };
    Name "name":
        |customer| text(customer.profile().name.as_ref()), |edit, text| edit.name = Edit::Set(Name::parse(text)?);
    Phone "phone":
        |customer| text(customer.profile().phone.as_ref()), |edit, text| edit.phone = Edit::Set(Phone::parse(text)?);
    Line1 "billing_address.line1":
        |customer| text(customer.profile().address.line1.as_ref()),
        |edit, text| edit.address.line1 = Edit::Set(AddressPart::parse(text)?);
    Line2 "billing_address.line2":
        |customer| text(customer.profile().address.line2.as_ref()),
        |edit, text| edit.address.line2 = Edit::Set(AddressPart::parse(text)?);
    City "billing_address.city":
        |customer| text(customer.profile().address.city.as_ref()),
        |edit, text| edit.address.city = Edit::Set(AddressPart::parse(text)?);
    State "billing_address.state":
        |customer| text(customer.profile().address.state.as_ref()),
        |edit, text| edit.address.state = Edit::Set(AddressPart::parse(text)?);
    PostalCode "billing_address.postal_code":
        |customer| text(customer.profile().address.postal_code.as_ref()),
        |edit, text| edit.address.postal_code = Edit::Set(PostalCode::parse(text)?);
    Country "billing_address.country":
        |customer| text(customer.profile().address.country.as_ref()),
        |edit, text| edit.address.country = Edit::Set(Country::parse(text)?);
    TaxId "tax_id":
        |customer| text(customer.profile().tax_id.as_ref()), |edit, text| edit.tax_id = Edit::Set(TaxId::parse(text)?);
    BusinessName "business_name":
        |customer| text(customer.profile().details.business_name.as_ref()),
        |edit, text| edit.details.business_name = Edit::Set(BusinessName::parse(text)?);
    TaxExempt "tax_exempt":
        |customer| text(customer.profile().details.tax_exempt.as_ref()),
        |edit, text| edit.details.tax_exempt = Edit::Set(match text {
            // A service that knows no reverse charge.
            "true" => TaxExemption::Exempt,
            "false" => TaxExemption::None,
            _ => TaxExemption::parse(text)?,
        });
    Locale "locale":
        |customer| text(customer.profile().details.locale.as_ref()),
        |edit, text| edit.details.locale = Edit::Set(Locale::parse(text)?);
    TimeZone "timezone":
        |customer| text(customer.profile().details.timezone.as_ref()),
        |edit, text| edit.details.timezone = Edit::Set(TimeZone::parse(text)?);
    Currency "currency":
        |customer| text(customer.profile().details.currency.as_ref()),
        |edit, text| edit.details.currency = Edit::Set(Currency::parse(text)?);
    Status "status":
        |customer| Some(customer.status().as_str()), |edit, text| edit.status = Some(CustomerStatus::parse(text)?);
}

/// Whether other customers may have its address.
fn is_shared(customer: &Customer) -> bool {
    customer.parts().email_use == EmailUse::Shared && customer.email_key().is_some()
}

fn text(value: Option<&impl AsRef<str>>) -> Option<&str> {
    value.map(AsRef::as_ref)
}

impl Field {
    /// The field with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}
