//! What was written is read back, byte by byte.

use std::sync::Arc;

use roster_application::ports::{CustomerState, Store, Written};
use roster_domain::{
    Address, AddressPart, BusinessName, Country, Currency, Customer, CustomerId, CustomerParts, Details, EmailUse,
    Json, Locale, Metadata, Object, Phone, PostalCode, Profile, TaxExemption, TaxId, Tenant, TimeZone, Timestamp,
};

use crate::actions::{
    by_id, change, create, delete, email_taken_by, find, find_any, find_in, insert, insert_one, list_in, start,
};
use crate::samples::{Samples, at, deleted, email, external_id, metadata, name};

/// A text that careless quoting, escaping, arrays, trimming and normalising would change.
const HARD: &str = " {\"a\", 'b'}, (NULL) \\n \\\\ $1 ?1 %s é e\u{301} 名前 👩\u{200d}💻 \u{feff}\u{10ffff} ";

pub fn every_column_comes_back_when_all_are_set(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_comes_back(store, &of_parts(&samples, tenant, full_profile()));
}

pub fn every_column_comes_back_when_none_is_set(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_comes_back(store, &of_parts(&samples, tenant, Profile::default()));
}

pub fn every_column_comes_back_in_a_batch_of_all_kinds(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let profiles = [full_profile(), Profile::default(), profile_of_empty_texts(), profile_of_hard_texts()];
    let batch =
        profiles.map(|profile| of_parts(&samples, tenant, Profile { email: None, external_id: None, ..profile }));
    assert_eq!(insert(store, &batch), vec![Written::Done; 4]);
    for customer in &batch {
        assert_same(find(store, by_id(customer)), customer);
    }
}

pub fn every_column_is_written_by_a_change(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = of_parts(&samples, tenant, Profile::default());
    create(store, &[&before]);
    let full = changed_to(&before, full_profile(), EmailUse::Shared);
    assert_eq!(change(store, &before, &full), Written::Done);
    assert_same(find(store, by_id(&before)), &full);
    let emptied = changed_to(&full, Profile::default(), EmailUse::Exclusive);
    assert_eq!(change(store, &full, &emptied), Written::Done);
    assert_same(find(store, by_id(&before)), &emptied);
}

pub fn every_column_of_a_deleted_customer_comes_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for profile in [full_profile(), Profile::default(), profile_of_hard_texts()] {
        let customer = of_parts(&samples, tenant, profile);
        create(store, &[&customer]);
        delete(store, &customer);
        let deleted = deleted(&customer);
        assert_same(find_any(store, &customer), &deleted);
        assert_same(find_in(store, CustomerState::Deleted, &[by_id(&customer)]).remove(0), &deleted);
        assert_same(list_in(store, tenant, CustomerState::Deleted, None, 1).pop(), &deleted);
    }
}

pub fn an_empty_text_is_not_an_absent_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_comes_back(store, &of_parts(&samples, tenant, profile_of_empty_texts()));
}

pub fn quotes_backslashes_and_every_script_come_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_comes_back(store, &of_parts(&samples, tenant, profile_of_hard_texts()));
}

pub fn the_longest_values_come_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let part = || AddressPart::parse("😀".repeat(AddressPart::MAX)).ok();
    let labels = "b.".repeat(93);
    let profile = Profile {
        email: Some(email(&format!("{}@{labels}com", "a".repeat(64)))),
        external_id: Some(external_id(&"😀".repeat(256))),
        name: Some(name(&"😀".repeat(256))),
        phone: Phone::parse("+123456789012345").ok(),
        address: Address {
            line1: part(),
            line2: part(),
            city: part(),
            state: part(),
            postal_code: PostalCode::parse("😀".repeat(PostalCode::MAX)).ok(),
            country: Country::parse("DE").ok(),
        },
        tax_id: TaxId::parse("😀".repeat(TaxId::MAX)).ok(),
        details: Details {
            business_name: BusinessName::parse("😀".repeat(BusinessName::MAX)).ok(),
            tax_exempt: Some(TaxExemption::Reverse),
            locale: Locale::parse(&format!("en-x-{}", ["abcdefgh"; 6].join("-"))).ok(),
            timezone: TimeZone::parse("America/Argentina/ComodRivadavia").ok(),
            currency: Currency::parse("ZWG").ok(),
        },
        metadata: metadata(&format!(r#"{{"k":"{}"}}"#, "x".repeat(Metadata::MAX_BYTES - r#"{"k":""}"#.len()))),
    };
    assert_comes_back(store, &of_parts(&samples, tenant, profile));
}

pub fn metadata_comes_back_to_the_last_digit(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for json in [
        "{}",
        r#"{"":""}"#,
        r#"{"n":[0,-0,0.0,1.0,1.10,-1,1e2,1E+2,1e-7,0.1,3.141592653589793238462643383279]}"#,
        r#"{"n":9007199254740993,"m":-9223372036854775809,"o":18446744073709551616}"#,
        r#"{"n":123456789012345678901234567890123456789012345678901234567890.000}"#,
        r#"{"n":1e400,"m":-1e400,"o":1e-400,"p":1E9999}"#,
        r#"{"b":true,"c":false,"d":null,"e":[],"f":{},"g":[null]}"#,
        r#"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":"deep"}}}}}}}}"#,
        r#"{"1":[[[[[[["deep"]]]]]]]}"#,
        r#"{"s":"\" \\ / \b\f\n\r\t ' '' ` $1 ? % _ é e\u0301 \u2028\u2029 \ud83d\ude00 \uffff"}"#,
        r#"{"k \" \\ ' é 名前 😀 $ . [0]":1,"__proto__":2,"constructor":3}"#,
        r#"{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"2"}"#,
        r#"{"B":1,"a":2,"b":3,"A":4,"é":5,"e\u0301":6}"#,
        r#"{"date":"2025-01-15T12:00:00Z","id":"0188bac7-4afa-78aa-bc3b-bd1eef28d881","s":"NULL"}"#,
    ] {
        assert_comes_back(store, &of_parts(&samples, tenant, profile_with_metadata(metadata(json))));
    }
}

pub fn control_characters_in_metadata_come_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let all: String = ('\u{1}'..='\u{9f}').chain(['\u{fffe}', '\u{ffff}', '\u{1fffe}', '\u{e000}']).collect();
    let object = Object::try_from(vec![("all".to_owned(), Json::String(all))]).expect("one key");
    let metadata = Metadata::new(&object).expect("no NUL");
    assert_comes_back(store, &of_parts(&samples, tenant, profile_with_metadata(metadata)));
}

pub fn metadata_keeps_the_order_of_its_keys(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let text = r#"{"z":1,"a":{"y":2,"b":3},"m":[],"aa":{}}"#;
    let customer = of_parts(&samples, tenant, profile_with_metadata(metadata(text)));
    create(store, &[&customer]);
    let found = find(store, by_id(&customer)).expect("a live customer");
    assert_eq!(found.profile().metadata.as_str(), text);
}

pub fn metadata_of_many_keys_comes_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let pairs = (0..1000).map(|n| (format!("key{n}"), Json::Bool(n % 2 == 0))).collect::<Vec<_>>();
    let metadata = Metadata::new(&Object::try_from(pairs).expect("no key twice")).expect("small enough");
    assert_comes_back(store, &of_parts(&samples, tenant, profile_with_metadata(metadata)));
}

pub fn a_time_comes_back_to_the_millisecond(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for text in [
        "2025-01-15T12:00:00.001Z",
        "2025-01-15T12:00:00.999Z",
        "1970-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "2038-01-19T03:14:08.000Z",
        "2262-04-11T23:47:16.855Z",
        "2024-02-29T23:59:59.999Z",
        "1582-10-10T00:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
    ] {
        let created_at = Timestamp::parse(text).expect("a time");
        let updated_at = Timestamp::parse("9999-12-31T23:59:59.999Z").expect("a time");
        let parts = of_parts(&samples, tenant, Profile::default()).parts().clone();
        assert_comes_back(store, &Customer::restore(CustomerParts { created_at, updated_at, ..parts }));
    }
}

pub fn a_version_is_a_large_number(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let parts = of_parts(&samples, tenant, Profile::default()).parts().clone();
    let before = Customer::restore(CustomerParts { version: i64::MAX - 1, ..parts });
    let last = changed_to(&before, full_profile(), EmailUse::Exclusive);
    assert_eq!(insert_one(store, &before), Written::Done);
    assert_same(find(store, by_id(&before)), &before);
    assert_eq!(change(store, &before, &last), Written::Done);
    assert_same(find(store, by_id(&before)), &last);
}

pub fn an_id_of_any_bits_comes_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for bits in [0, 1, u128::MAX, 0x0000_ff00_5c27_0a0d_2200_2c7b_7d00_00ff] {
        let parts = of_parts(&samples, tenant, Profile::default()).parts().clone();
        let id = CustomerId::new(uuid::Uuid::from_u128(bits));
        assert_comes_back(store, &Customer::restore(CustomerParts { id, ..parts }));
    }
}

pub fn an_address_keeps_its_spelling_and_is_compared_by_its_golden_key(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut holders: Vec<(&str, Customer)> = Vec::new();
    let mut refused = 0;
    for (address, key) in golden_vectors() {
        let customer = samples.customer(tenant).email(address).build();
        let inserted = insert_one(store, &customer);
        if let Some((_, holder)) = holders.iter().find(|(held, _)| *held == key) {
            refused += 1;
            assert_eq!(inserted, email_taken_by(holder), "{address}");
        } else {
            assert_eq!(inserted, Written::Done, "{address}");
            assert_same(find(store, by_id(&customer)), &customer);
            holders.push((key, customer));
        }
    }
    assert!(holders.len() > 10 && refused > 10, "the file has lost its vectors");
}

pub fn the_golden_keys_tell_the_addresses_of_one_batch_apart(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let batch: Vec<_> = golden_vectors().map(|(address, _)| samples.customer(tenant).email(address).build()).collect();
    let expected = golden_vectors().map(|(_, key)| {
        let holder = golden_vectors().position(|(_, other)| other == key).expect("itself at least");
        &batch[holder]
    });
    for ((inserted, holder), customer) in insert(store, &batch).into_iter().zip(expected).zip(&batch) {
        let result = if holder == customer { Written::Done } else { email_taken_by(holder) };
        assert_eq!(inserted, result, "{:?}", customer.profile().email);
    }
}

/// The addresses that define e-mail keys by example, each with its key.
fn golden_vectors() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../domain/golden/email_keys.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("a tab in every line"))
}

fn assert_comes_back(store: &Arc<dyn Store>, customer: &Customer) {
    let profile = customer.profile();
    assert_eq!(insert_one(store, customer), Written::Done, "{profile:?}");
    assert_same(find(store, by_id(customer)), customer);
    // So that the next one may have the same identifiers.
    let emptied = changed_to(customer, Profile::default(), EmailUse::Exclusive);
    assert_eq!(change(store, customer, &emptied), Written::Done);
}

fn assert_same(found: Option<Customer>, written: &Customer) {
    let found = found.expect("a live customer");
    assert_eq!(found, *written);
    // Two addresses are equal if they are spelled alike, so the key is compared by itself.
    assert_eq!(found.email_key(), written.email_key());
}

/// A customer whose every column has its own value.
fn of_parts(samples: &Samples, tenant: Tenant, profile: Profile) -> Customer {
    let registered = samples.customer(tenant).profile(profile).build();
    let archived_at = archived_at(registered.profile());
    let parts = registered.parts().clone();
    Customer::restore(CustomerParts { version: 7, created_at: at(1), updated_at: at(2), archived_at, ..parts })
}

fn changed_to(before: &Customer, profile: Profile, email_use: EmailUse) -> Customer {
    let parts = before.parts().clone();
    let version = parts.version + 1;
    // As in the domain: no change is older than the one before it.
    let updated_at = at(3).max(parts.updated_at);
    let archived_at = archived_at(&profile);
    Customer::restore(CustomerParts { profile, email_use, version, updated_at, archived_at, ..parts })
}

/// Set in the samples in which most columns are.
fn archived_at(profile: &Profile) -> Option<Timestamp> {
    profile.email.is_some().then(|| at(4))
}

fn profile_with_metadata(metadata: Metadata) -> Profile {
    Profile { metadata, ..Profile::default() }
}

pub fn full_profile() -> Profile {
    let part = |text: &str| AddressPart::parse(text).ok();
    Profile {
        email: Some(email("Ada@Example.com")),
        external_id: Some(external_id("external id")),
        name: Some(name("name")),
        phone: Phone::parse("+14155552671").ok(),
        address: Address {
            line1: part("line 1"),
            line2: part("line 2"),
            city: part("city"),
            state: part("state"),
            postal_code: PostalCode::parse("postal code").ok(),
            country: Country::parse("SE").ok(),
        },
        tax_id: TaxId::parse("tax id").ok(),
        details: Details {
            business_name: BusinessName::parse("business name").ok(),
            tax_exempt: Some(TaxExemption::Exempt),
            locale: Locale::parse("sv-SE").ok(),
            timezone: TimeZone::parse("Europe/Stockholm").ok(),
            currency: Currency::parse("SEK").ok(),
        },
        metadata: metadata(r#"{"plan":"gold","seats":[1,2,{"n":null}]}"#),
    }
}

fn profile_of_empty_texts() -> Profile {
    profile_of_texts("")
}

pub fn profile_of_hard_texts() -> Profile {
    Profile { external_id: Some(external_id(HARD)), ..profile_of_texts(HARD) }
}

fn profile_of_texts(text: &str) -> Profile {
    let part = || Some(AddressPart::parse(text).expect("a part of an address"));
    Profile {
        name: Some(name(text)),
        address: Address {
            line1: part(),
            line2: part(),
            city: part(),
            state: part(),
            postal_code: Some(
                PostalCode::parse(text.chars().take(PostalCode::MAX).collect::<String>()).expect("a code"),
            ),
            country: None,
        },
        tax_id: Some(TaxId::parse(text.chars().take(TaxId::MAX).collect::<String>()).expect("a tax id")),
        details: Details {
            business_name: Some(BusinessName::parse(text).expect("a name")),
            tax_exempt: Some(TaxExemption::None),
            ..Details::default()
        },
        ..Profile::default()
    }
}
