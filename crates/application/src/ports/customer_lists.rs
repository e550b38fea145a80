use std::cmp::Ordering;

use roster_domain::{Customer, CustomerId, ExternalId, Json, Metadata, Number, SearchTerm, Tenant, Timestamp};

use super::CustomerState;
use crate::json;

/// The most rows that a store looks at for one page or one count of a list whose filter no index serves: 10,000.
pub const MAX_ROWS: usize = 10_000;

/// Which customers of a tenant a list has. The default is all that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerFilter {
    /// In which state they are.
    pub state: CustomerState,
    /// The key of their e-mail address, which they have exclusively or share. Only live customers are found by it.
    pub email_key: Option<String>,
    /// Their external identifier, which at most one live customer has.
    pub external_id: Option<ExternalId>,
    /// They were created at this time or later.
    pub created_after: Option<Timestamp>,
    /// They were created at this time or earlier.
    pub created_before: Option<Timestamp>,
    /// They were changed last at this time or later.
    pub updated_after: Option<Timestamp>,
    /// All of these hold of their metadata.
    pub metadata: Vec<MetadataCondition>,
    /// They have it in one of the texts that are searched.
    pub search: Option<SearchTerm>,
}

impl CustomerFilter {
    /// Whether a list with this filter has `customer`.
    #[must_use]
    pub fn includes(&self, customer: &Customer) -> bool {
        let profile = customer.profile();
        self.state.includes(customer)
            && (customer.is_live() || !self.is_of_identified())
            && self.email_key.as_deref().is_none_or(|key| customer.email_key() == Some(key))
            && self.external_id.as_ref().is_none_or(|id| profile.external_id.as_ref() == Some(id))
            && self.created_after.is_none_or(|time| customer.created_at() >= time)
            && self.created_before.is_none_or(|time| customer.created_at() <= time)
            && self.updated_after.is_none_or(|time| customer.updated_at() >= time)
            && self.metadata.iter().all(|condition| condition.holds(&profile.metadata))
            && self.search.as_ref().is_none_or(|term| term.is_found_in(customer))
    }

    /// What is searched for, if an index for searches serves it: that has live customers alone, and an identifier serves better.
    #[must_use]
    pub fn indexed_search(&self) -> Option<&SearchTerm> {
        let is_of_live = !matches!(self.state, CustomerState::Deleted | CustomerState::Any);
        self.search.as_ref().filter(|_| is_of_live && !self.is_of_identified())
    }

    /// Whether it names an identifier, by which a store finds few customers at once.
    fn is_of_identified(&self) -> bool {
        self.email_key.is_some() || self.external_id.is_some()
    }

    fn is_of_a_period(&self) -> bool {
        self.created_after.is_some() || self.created_before.is_some()
    }

    /// Whether lists with it are in the order of creation, which an index has. All others are in the order of registration,
    /// which is that of the identifiers. The two differ for customers that were created elsewhere, and imported later.
    #[must_use]
    pub fn is_by_creation(&self) -> bool {
        self.is_of_a_period() && !self.is_of_identified()
    }

    /// Whether no index serves all of it: a store may look at many rows for each that it finds, and must stop at some
    /// number of them.
    #[must_use]
    pub fn is_walked(&self) -> bool {
        let has_rare_state = matches!(self.state, CustomerState::Archived | CustomerState::Deleted);
        self.updated_after.is_some()
            || !self.metadata.is_empty()
            || self.search.is_some()
            || (self.is_of_a_period() && (self.is_of_identified() || has_rare_state))
    }
}

impl From<CustomerState> for CustomerFilter {
    fn from(state: CustomerState) -> Self {
        Self { state, ..Self::default() }
    }
}

/// What the value of a key at the top level of the metadata is, as text: a string has its characters, a number and a boolean
/// have their JSON text. `null`, objects and arrays have none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataCondition {
    /// The key.
    pub key: String,
    /// The text of the value.
    pub value: String,
}

impl MetadataCondition {
    /// The most conditions of one list.
    pub const MAX: usize = 5;

    /// Whether it holds of `metadata`.
    #[must_use]
    pub fn holds(&self, metadata: &Metadata) -> bool {
        // Most metadata need not be parsed.
        if !self.traces().iter().any(|trace| metadata.as_str().contains(trace)) {
            return false;
        }
        let Ok(Json::Object(object)) = json::read(metadata.as_str().as_bytes()) else { return false };
        match object.get(&self.key) {
            Some(Json::String(text)) => *text == self.value,
            Some(Json::Number(number)) => number.as_str() == self.value,
            Some(Json::Bool(value)) => value.to_string() == self.value,
            Some(Json::Null | Json::Array(_) | Json::Object(_)) | None => false,
        }
    }

    /// Two texts, one of which is in the compact JSON text of all metadata of which the condition holds, and of few others:
    /// stores leave out rows by them.
    #[must_use]
    pub fn traces(&self) -> [String; 2] {
        let key = Json::String(self.key.clone());
        let as_string = format!("{key}:{}", Json::String(self.value.clone()));
        let is_literal = matches!(self.value.as_str(), "true" | "false") || Number::parse(&self.value).is_some();
        let as_literal = if is_literal { format!("{key}:{}", self.value) } else { as_string.clone() };
        [as_string, as_literal]
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ListOrder {
    /// The newest first.
    #[default]
    Descending,
    /// The oldest first.
    Ascending,
}

/// The place of a customer in the lists of its tenant, which it keeps when it changes or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was created.
    pub created_at: Timestamp,
    /// Its identifier.
    pub id: CustomerId,
}

impl From<&Customer> for Place {
    fn from(customer: &Customer) -> Self {
        Self { created_at: customer.created_at(), id: customer.id() }
    }
}

/// A page of the customers of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerQuery {
    /// The tenant.
    pub tenant: Tenant,
    /// Which of its customers.
    pub filter: CustomerFilter,
    /// In which order, by registration or [by creation](CustomerFilter::is_by_creation).
    pub order: ListOrder,
    /// Only customers that follow this place.
    pub after: Option<Place>,
    /// How many of them are skipped. A store reads what it skips.
    pub offset: usize,
    /// The most customers of the page, at least one.
    pub limit: usize,
    /// The most rows that the store looks at if the filter [is walked](CustomerFilter::is_walked), at least one. If an index for
    /// searches names more for [what is searched](CustomerFilter::indexed_search), the store looks at the list instead.
    pub max_rows: usize,
}

impl CustomerQuery {
    /// The first `limit` live customers of `tenant`, the newest first.
    #[must_use]
    pub fn newest(tenant: Tenant, limit: usize) -> Self {
        let (filter, order) = (CustomerFilter::default(), ListOrder::default());
        Self { tenant, filter, order, after: None, offset: 0, limit, max_rows: MAX_ROWS }
    }

    /// Whether a page costs no more than its rows: one statement finds them, and them alone, by an index.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let CustomerFilter { external_id, email_key, .. } = &self.filter;
        self.offset == 0 && external_id.is_none() && email_key.is_none() && !self.filter.is_walked()
    }

    /// How two places follow each other in the list.
    #[must_use]
    pub fn compare(&self, one: Place, other: Place) -> Ordering {
        let key = |place: Place| (self.filter.is_by_creation().then_some(place.created_at), place.id);
        match self.order {
            ListOrder::Ascending => key(one).cmp(&key(other)),
            ListOrder::Descending => key(other).cmp(&key(one)),
        }
    }

    /// Whether `place` is in the part of the list that follows `after`.
    #[must_use]
    pub fn reaches(&self, place: Place) -> bool {
        self.after.is_none_or(|after| self.compare(after, place) == Ordering::Less)
    }

    /// The places of the part of the list that follows `after`, each once, in the order of the list.
    #[must_use]
    pub fn in_order(&self, mut places: Vec<Place>) -> Vec<Place> {
        places.retain(|place| self.reaches(*place));
        places.sort_unstable_by(|one, other| self.compare(*one, *other));
        places.dedup();
        places
    }

    /// The page of a list of which all that may be in it are `candidates`, in any order.
    #[must_use]
    pub fn page_of(&self, candidates: impl IntoIterator<Item = Customer>) -> Vec<Customer> {
        let is_listed = |customer: &Customer| self.filter.includes(customer) && self.reaches(customer.into());
        let mut listed: Vec<_> = candidates.into_iter().filter(is_listed).collect();
        listed.sort_unstable_by(|one, other| self.compare(one.into(), other.into()));
        listed.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

/// What a store has found for a [`CustomerQuery`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The customers, in the order of the list.
    pub customers: Vec<Customer>,
    /// Where it stopped looking, if it has not looked at all that may follow. The list goes on after that place.
    pub stopped_at: Option<Place>,
}

impl Listed {
    /// How many there are, if they were listed with a limit of more than `most`.
    #[must_use]
    pub fn count(&self, most: usize) -> Count {
        let Count { number, is_exact } = Count::of_at_most(most, self.customers.len());
        Count { number, is_exact: is_exact && self.stopped_at.is_none() }
    }
}

/// How many customers a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// At least so many.
    pub number: usize,
    /// Whether it is all.
    pub is_exact: bool,
}

impl Count {
    /// Of a list in which `found` were found by looking for one more than `most`.
    #[must_use]
    pub fn of_at_most(most: usize, found: usize) -> Self {
        Self { number: found.min(most), is_exact: found <= most }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roster_domain::Object;

    use super::*;

    fn condition(key: &str, value: &str) -> MetadataCondition {
        MetadataCondition { key: key.to_owned(), value: value.to_owned() }
    }

    fn holds(key: &str, value: &str, metadata: &str) -> bool {
        condition(key, value).holds(&Metadata::restore(metadata.to_owned()))
    }

    #[test]
    fn values_are_compared_as_text_at_the_top_level() {
        let metadata =
            r#"{"tier":"gold","seats":5,"rate":1.50,"vip":true,"no":null,"in":{"tier":"silver"},"is":["x"]}"#;
        for (key, value) in [("tier", "gold"), ("seats", "5"), ("rate", "1.50"), ("vip", "true")] {
            assert!(holds(key, value, metadata), "{key}={value}");
        }
        for (key, value) in [
            ("tier", "silver"),
            ("tier", "Gold"),
            ("tier", ""),
            ("seats", "5.0"),
            ("rate", "1.5"),
            ("vip", "false"),
            ("no", "null"),
            ("in", r#"{"tier":"silver"}"#),
            ("is", r#"["x"]"#),
            ("none", "x"),
        ] {
            assert!(!holds(key, value, metadata), "{key}={value}");
        }
        assert!(
            holds("k", "5", r#"{"k":"5"}"#) && !holds("k", "5", r#"{"k":51}"#) && !holds("k", "5", r#"{"k":"51"}"#)
        );
        assert!(!holds("k", "v", r#"{"a":"\"k\":\"v\""}"#) && holds("", "", r#"{"":""}"#));
    }

    fn json() -> impl Strategy<Value = Json> {
        let number = "-?[0-9]|[1-9][0-9]|[0-9][.][0-9]{1,2}|[1-9]e[0-9]"
            .prop_filter_map("a number", |text| Number::parse(&text));
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            number.prop_map(Json::Number),
            "[a-c\"\\\\ \u{1}é5]{0,2}".prop_map(Json::String),
        ]
    }

    proptest! {
        #[test]
        fn all_metadata_of_which_a_condition_holds_has_one_of_its_traces(
            pairs in proptest::collection::btree_map("[a-c\"\\\\é]{0,2}", json(), 0..4), place in 0..4_usize,
        ) {
            let pairs: Vec<_> = pairs.into_iter().collect();
            let chosen = pairs.get(place).cloned();
            let metadata = Metadata::new(&Object::try_from(pairs).expect("keys of a map")).expect("small");
            if let Some((key, value)) = chosen {
                let text = match &value {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let condition = condition(&key, &text);
                let is_comparable = !matches!(value, Json::Null);
                prop_assert_eq!(condition.holds(&metadata), is_comparable);
                prop_assert!(!is_comparable || condition.traces().iter().any(|trace| metadata.as_str().contains(trace)));
            }
        }
    }
}
