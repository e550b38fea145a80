//! Searching for customers: which texts are compared, and how.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::{Customer, Profile, Rule};

/// What a caller searches for, folded as e-mail keys are: case, width and composition make no difference.
///
/// With at least [`SearchTerm::MIN_ANYWHERE`] characters it is found anywhere in the e-mail address, the name, the business
/// name or the external identifier of a customer; a shorter one at the beginning of the e-mail key or the external identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTerm(String);

/// Why a search term was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SearchTermError {
    /// Empty, or only white space.
    #[error("must not be empty")]
    Empty,
    /// More than 254 characters.
    #[error("must be at most 254 characters long")]
    TooLong,
    /// A control character.
    #[error("must not contain control characters")]
    ControlCharacter,
}

impl Rule for SearchTermError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

impl SearchTerm {
    /// The most characters, as typed: those of an e-mail address.
    pub const MAX: usize = 254;
    /// The least characters, after folding, of a term that is found anywhere in a text.
    pub const MIN_ANYWHERE: usize = 3;

    /// Folds what a caller searches for, without white space at its ends.
    ///
    /// # Errors
    /// [`SearchTermError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, SearchTermError> {
        if text.chars().any(char::is_control) {
            return Err(SearchTermError::ControlCharacter);
        }
        if text.chars().count() > Self::MAX {
            return Err(SearchTermError::TooLong);
        }
        let folded = fold(text.trim());
        let folded = folded.trim();
        if folded.is_empty() { Err(SearchTermError::Empty) } else { Ok(Self(folded.to_owned())) }
    }

    /// The folded term.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is only looked for at the beginning of identifiers.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.chars().nth(Self::MIN_ANYWHERE - 1).is_none()
    }

    /// Whether `customer` has it.
    #[must_use]
    pub fn is_found_in(&self, customer: &Customer) -> bool {
        let term = self.0.as_str();
        if self.is_short() {
            return beginnings(customer).into_iter().flatten().any(|text| text.starts_with(term));
        }
        texts(customer.profile()).into_iter().flatten().any(|text| text.contains(term))
    }
}

/// The texts of a customer in which a term is found anywhere.
fn texts(profile: &Profile) -> [Option<String>; 5] {
    let Profile { email, external_id, name, details, .. } = profile;
    [
        // As it was typed, and as it is compared: an international domain has two forms.
        email.as_ref().map(|email| fold(email.as_str())),
        email.as_ref().map(|email| email.key().to_owned()),
        name.as_ref().map(|name| fold(name.as_str())),
        details.business_name.as_ref().map(|name| fold(name.as_str())),
        external_id.as_ref().map(|id| fold(id.as_str())),
    ]
}

/// The texts of a customer at whose beginning a short term is found.
fn beginnings(customer: &Customer) -> [Option<String>; 2] {
    let external_id = customer.profile().external_id.as_ref();
    [customer.email_key().map(str::to_owned), external_id.map(|id| fold(id.as_str()))]
}

/// The text as it is compared: compatibility forms composed, and the full case fold of Unicode.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().default_case_fold().nfkc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        BusinessName, CustomerId, Email, EmailUse, Environment, ExternalId, MerchantId, Name, Tenant, Timestamp,
    };

    fn customer(email: &str, name: &str, business: &str, external_id: &str) -> Customer {
        let mut profile = Profile {
            email: Email::parse(email).ok(),
            name: Name::parse(name).ok(),
            external_id: ExternalId::parse(external_id).ok(),
            ..Profile::default()
        };
        profile.details.business_name = BusinessName::parse(business).ok();
        let tenant = Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live };
        let now = Timestamp::from_millis(0).expect("a time");
        Customer::register(tenant, CustomerId::new(Uuid::nil()), profile, EmailUse::Exclusive, now)
    }

    fn finds(term: &str, customer: &Customer) -> bool {
        SearchTerm::parse(term).expect(term).is_found_in(customer)
    }

    #[test]
    fn a_term_is_found_anywhere_in_four_fields_and_in_no_other() {
        let ada = customer("Ada.Byron@Example.com", "Ada Lovelace", "Analytical Engines Ltd", "USR-0042");
        for term in
            ["byron@ex", "BYRON", "example.com", "lovelace", "a love", "engines", "LTD", "r-00", "0042", " usr- "]
        {
            assert!(finds(term, &ada), "{term}");
        }
        for term in ["adalovelace", "ltdusr", "byron@example.org", "babbage", "..."] {
            assert!(!finds(term, &ada), "{term}");
        }
    }

    #[test]
    fn a_short_term_is_found_at_the_beginning_of_identifiers_alone() {
        let ada = customer("ada@example.com", "Bea", "Co", "Xy-1");
        for term in ["a", "A", "ad", "x", "XY"] {
            assert!(finds(term, &ada), "{term}");
        }
        for term in ["b", "be", "c", "co", "da", "y-", "1"] {
            assert!(!finds(term, &ada), "{term}");
        }
    }

    #[test]
    fn case_width_and_composition_make_no_difference() {
        let eda = customer("ﬁona@example.com", "JOSÉ STRASSE Ⅷ", "ＷＩＤＥ", "e\u{301}da");
        for term in ["FIONA", "josé", "jose\u{301}", "straße", "viii", "wide", "Ｗｉｄｅ", "Éda", "ÉDA"] {
            assert!(finds(term, &eda), "{term}");
        }
        assert!(!finds("jose", &eda));
        let domain = customer("x@münchen.example", "", "", "");
        assert!(finds("MÜNCHEN", &domain) && finds("xn--mnchen", &domain));
    }

    #[test]
    fn each_rule_has_its_own_error() {
        let long = "a".repeat(255);
        for (term, error) in [
            ("", SearchTermError::Empty),
            (" \u{a0}", SearchTermError::Empty),
            ("a\0b", SearchTermError::ControlCharacter),
            (&long, SearchTermError::TooLong),
        ] {
            assert_eq!(SearchTerm::parse(term), Err(error), "{term:?}");
        }
        assert!(SearchTerm::parse(&long[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn every_part_of_a_folded_text_is_found_in_any_case(name in "[a-cA-CéÉßﬁ ]{3,8}", from in 0..6_usize, length in 3..8_usize) {
            let customer = customer("", &name, "", "");
            let Some(stored) = customer.profile().name.as_ref() else { return Ok(()) };
            let folded = fold(stored.as_str());
            let part: String = folded.chars().skip(from).take(length).collect();
            if part.trim().chars().count() >= 3 {
                prop_assert!(finds(&part, &customer) && finds(&part.to_uppercase(), &customer), "{part} in {folded}");
            }
        }

        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,12}") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }
    }
}
