//! Searching for customers: which texts are compared, and how.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::{Customer, Environment, Profile, Rule, Tenant};

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
    /// The most hashes that an index is asked for: more leave out hardly any customer.
    pub const MAX_HASHES: usize = 12;

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

    /// The hashes that [`search_hashes`] has for every customer of `tenant` in which the term is found, and for few others: at
    /// most [`SearchTerm::MAX_HASHES`], spread over the term.
    #[must_use]
    pub fn hashes(&self, tenant: Tenant) -> Vec<i32> {
        let hash = TenantHash::of(tenant);
        if self.is_short() {
            return vec![hash.of_part(&self.0)];
        }
        let all: Vec<&str> = parts(&self.0).collect();
        let number = all.len().min(Self::MAX_HASHES);
        // From the first to the last part.
        let place = |n: usize| n * (all.len() - 1) / (number - 1).max(1);
        sorted((0..number).map(|n| hash.of_part(all[place(n)])))
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

/// What an index for searches has of a customer, sorted: a hash of the tenant and of each part of three characters of the texts
/// in which a term is found anywhere, and of the first one and two characters of those at whose beginning a short term is found.
///
/// Stores keep the hashes, so the same customer must have the same ones in every release. A release that computes others must
/// have all rows indexed anew.
#[must_use]
pub fn search_hashes(customer: &Customer) -> Vec<i32> {
    let hash = TenantHash::of(customer.tenant());
    let texts = texts(customer.profile());
    let beginnings = beginnings(customer);
    let anywhere = texts.iter().flatten().flat_map(|text| parts(text));
    let at_beginning = beginnings
        .iter()
        .flatten()
        .flat_map(|text| (1..SearchTerm::MIN_ANYWHERE).filter_map(|length| text.get(..end_of(text, length)?)));
    sorted(anywhere.chain(at_beginning).map(|part| hash.of_part(part)))
}

fn sorted(hashes: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut hashes: Vec<i32> = hashes.collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// All parts of three characters.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map_while(|(start, _)| {
        let rest = &text[start..];
        rest.get(..end_of(rest, SearchTerm::MIN_ANYWHERE)?)
    })
}

/// Where the first `length` characters end, if there are as many.
fn end_of(text: &str, length: usize) -> Option<usize> {
    text.char_indices().nth(length - 1).map(|(start, last)| start + last.len_utf8())
}

/// Hashes parts of texts together with the tenant, so that an index over all tenants finds the customers of one.
///
/// FNV-1a, which is the same on every machine. Other parts with the same hash cost a search a look at a row, and no more.
struct TenantHash(u64);

impl TenantHash {
    fn of(tenant: Tenant) -> Self {
        let environment = match tenant.environment {
            Environment::Live => 1,
            Environment::Sandbox => 2,
        };
        let start = Self(0xcbf2_9ce4_8422_2325).with(tenant.merchant.uuid().as_bytes());
        start.with(&[environment])
    }

    fn with(&self, bytes: &[u8]) -> Self {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(bytes.iter().fold(self.0, add))
    }

    fn of_part(&self, part: &str) -> i32 {
        let hash = self.with(part.as_bytes()).0;
        // Both halves, as not all bits of one depend on all bytes.
        let [.., a, b, c, d] = (hash ^ (hash >> 32)).to_be_bytes();
        i32::from_be_bytes([a, b, c, d])
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

    const HASHES_OF_ADA: [i32; 2] = [-1_336_435_251, 383_269_355];

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
    fn hashes_are_those_of_the_tenant_and_the_same_in_every_release() {
        let ada = customer("", "Ada", "", "x");
        assert_eq!(search_hashes(&ada), HASHES_OF_ADA);
        let live = SearchTerm::parse("ada").expect("a term").hashes(ada.tenant());
        let sandbox = Tenant { environment: Environment::Sandbox, ..ada.tenant() };
        assert!(live.len() == 1 && live != SearchTerm::parse("ada").expect("a term").hashes(sandbox));
    }

    #[test]
    fn a_long_term_has_a_bounded_number_of_hashes() {
        let text: String = (b'a'..=b'z').chain(b'0'..=b'9').map(char::from).collect();
        for length in 3..text.len() {
            let term = SearchTerm::parse(&text[..length]).expect("a term");
            let hashes = term.hashes(customer("", "", "", "").tenant());
            assert_eq!(hashes.len(), (length - 2).min(SearchTerm::MAX_HASHES), "{length}");
        }
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
        fn a_customer_has_all_hashes_of_each_term_that_is_found_in_it(
            name in "[a-cA-CéÉßﬁ ]{1,12}", id in "[a-bß]{1,4}", term in "[a-cé ]{1,4}", from in 0..8_usize, length in 1..8_usize,
        ) {
            let customer = customer("Ab@example.com", &name, "", &id);
            let hashes = search_hashes(&customer);
            let part: String = fold(&name).chars().skip(from).take(length).collect();
            for term in [term, part, id].iter().filter_map(|term| SearchTerm::parse(term).ok()) {
                let has_all = term.hashes(customer.tenant()).iter().all(|hash| hashes.contains(hash));
                prop_assert!(has_all || !term.is_found_in(&customer), "{term:?}");
            }
        }

        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,12}") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }
    }
}
