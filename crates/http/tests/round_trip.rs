//! What is exported of one tenant and imported into another is the same, field by field.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use roster_application::ports::CustomerFilter;
use roster_application::ports::{CustomerKey, CustomerRef};
use roster_application::{
    BegunImport, CustomerChange, CustomerCommand, Digest, Export, ImportBatch, ImportRules, Operation, Precondition,
    Registration, Roster,
};
use roster_domain::{
    Address, AddressPart, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerStatus, Details, Email,
    EmailUse, Environment, ExternalId, Json, Locale, MerchantName, Metadata, Name, Number, Object, Phone, PostalCode,
    Profile, TaxExemption, TaxId, Tenant, TimeZone,
};
use roster_http::{ExportFormat, ExportWriter};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};
use roster_transfer::{Mapping, Reader, Unknown};

fn roster() -> (Roster, [Tenant; 2]) {
    let store = Arc::new(MemoryStore::default());
    let roster = Roster::new(
        store,
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    );
    let name = MerchantName::parse("Acme").expect("a name");
    let merchant = roster.create_merchant(name, &Operation::COMMAND_LINE).expect("a merchant").id;
    let tenants = [Environment::Live, Environment::Sandbox].map(|environment| Tenant { merchant, environment });
    (roster, tenants)
}

/// All customers, and the file of them.
fn export(roster: &Roster, tenant: Tenant, format: ExportFormat) -> (Vec<Customer>, Vec<u8>) {
    let mut writer = ExportWriter::new(format);
    let (mut customers, mut file) = (Vec::new(), Vec::new());
    let export = Export { tenant, filter: CustomerFilter::default(), age: Duration::from_mins(1) };
    let take = &mut |part: roster_application::ExportPart| {
        file.extend(writer.write(&part.customers, part.is_last).expect("JSON"));
        customers.extend(part.customers);
        ControlFlow::Continue(())
    };
    roster.export_customers(&export, take).expect("a list");
    (customers, file)
}

fn import(roster: &Roster, tenant: Tenant, file: &[u8]) {
    let mapping = Mapping::parse(Mapping::text_of("roster").expect("a mapping")).expect("a mapping");
    let mut reader = Reader::open(file, None, mapping, Unknown::Refuse, roster.now()).expect("a file");
    let mut batch = ImportBatch { is_last: true, ..ImportBatch::default() };
    while let Some(row) = reader.next_row().expect("a file that can be read") {
        batch.rows.push((row.number, row.customer.unwrap_or_else(|faults| panic!("{faults:?}"))));
        batch.last = row.number;
    }
    let begun = roster.begin_import(tenant, Digest([1; 32]), "", true).expect("a store");
    let BegunImport::Open(begun) = begun else { panic!("{begun:?}") };
    let report = &mut |refused: &[_]| {
        assert!(refused.is_empty(), "{refused:?}");
        Ok(())
    };
    let done = roster.import_batch(&begun, ImportRules::default(), &batch, report).expect("a store");
    assert_eq!(done.counts.created, batch.last);
}

/// What an import keeps of a customer.
fn kept(customer: &Customer) -> (Profile, EmailUse, CustomerStatus, i64) {
    let email_use = if customer.email_key().is_some() { customer.parts().email_use } else { EmailUse::Exclusive };
    (customer.profile().clone(), email_use, customer.status(), customer.created_at().as_millis())
}

fn check(profiles: Vec<(Profile, EmailUse, bool)>) {
    let (roster, [from, to]) = roster();
    for (profile, email_use, is_archived) in profiles {
        let registration = Registration { tenant: from, profile, email_use };
        let made = roster.write_customers(vec![CustomerCommand::Register(registration)]).remove(0);
        let made = made.result.expect("identifiers that are free").into_customer();
        if is_archived {
            let key = CustomerKey { tenant: from, customer: CustomerRef::Id(made.id()) };
            let edit = CustomerEdit { status: Some(CustomerStatus::Archived), ..CustomerEdit::default() };
            let change = CustomerChange { key, edit, precondition: Precondition::default() };
            roster.write_customers(vec![CustomerCommand::Change(change)]).remove(0).result.expect("a change");
        }
    }
    for format in [ExportFormat::Ndjson, ExportFormat::Csv] {
        let (roster, to) = (roster.clone(), to);
        let (before, file) = export(&roster, from, format);
        if before.is_empty() {
            continue;
        }
        import(&roster, to, &file);
        let (after, _) = export(&roster, to, format);
        assert_eq!(after.iter().map(kept).collect::<Vec<_>>(), before.iter().map(kept).collect::<Vec<_>>());
        for customer in after {
            let key = CustomerKey { tenant: to, customer: CustomerRef::Id(customer.id()) };
            let deletion = roster_application::CustomerDeletion { key, precondition: Precondition::default() };
            roster.write_customers(vec![CustomerCommand::Delete(deletion)]).remove(0).result.expect("a customer");
        }
        // The other format is imported into the same tenant.
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "['=+@-][a-z\"',;=]{0,4}", "\\PC{1,12}", "[ ,;\"a]{1,6}", Just("null".to_owned()),]
}

fn json() -> impl Strategy<Value = Json> {
    let number = prop_oneof!["-?[0-9]{1,30}", "[0-9]\\.[0-9]{1,30}", "-?[1-9]e-?[0-9]{1,3}", "0\\.10+"];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number.prop_filter_map("a number", |text| Number::parse(&text)).prop_map(Json::Number),
        "[a\"\\\\\n\r\t\u{1}é=']{0,6}".prop_map(Json::String),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            object(inner).prop_map(Json::Object),
        ]
    })
}

fn object(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Object> {
    prop::collection::btree_map("[a-zA-Z ='.\"]{0,4}", value, 0..4)
        .prop_map(|pairs| Object::try_from(pairs.into_iter().collect::<Vec<_>>()).expect("keys of a map"))
}

prop_compose! {
    fn address()(
        lines in prop::array::uniform4(prop::option::of(text())), postal_code in prop::option::of(text()),
        country in prop::option::of(prop::sample::select(vec!["DE", "US"])),
    ) -> Address {
        let [line1, line2, city, state] =
            lines.map(|line| line.map(|line| AddressPart::parse(line).expect("a text")));
        let postal_code = postal_code.map(|code| PostalCode::parse(code).expect("a text"));
        let country = country.map(|code| Country::parse(code).expect("a code"));
        Address { line1, line2, city, state, postal_code, country }
    }
}

prop_compose! {
    fn details()(
        business_name in prop::option::of(text()),
        tax_exempt in prop::option::of(prop::sample::select(TaxExemption::ALL.to_vec())),
        locale in prop::option::of(Just("pt-BR")), timezone in prop::option::of(Just("Europe/Paris")),
        currency in prop::option::of(Just("USD")),
    ) -> Details {
        Details {
            business_name: business_name.map(|name| BusinessName::parse(name).expect("a text")),
            tax_exempt,
            locale: locale.map(|tag| Locale::parse(tag).expect("a tag")),
            timezone: timezone.map(|name| TimeZone::parse(name).expect("a name")),
            currency: currency.map(|code| Currency::parse(code).expect("a code")),
        }
    }
}

prop_compose! {
    /// A profile whose identifiers have a number, so that those of another number differ.
    fn profile(number: usize)(
        has_email in any::<bool>(), external_id in prop::option::of(text()), name in prop::option::of(text()),
        phone in prop::option::of("\\+[1-9][0-9]{1,14}"), address in address(), tax_id in prop::option::of(text()),
        details in details(), metadata in object(json()), shares in any::<bool>(), is_archived in any::<bool>(),
    ) -> (Profile, EmailUse, bool) {
        let address_of = if shares { "shared@example.com".to_owned() } else { format!("+a{number}@example.com") };
        let profile = Profile {
            email: has_email.then(|| Email::parse(&address_of).expect("an address")),
            external_id: external_id.map(|text| ExternalId::parse(format!("{text}{number}")).expect("a text")),
            name: name.map(|name| Name::parse(name).expect("a text")),
            phone: phone.map(|phone| Phone::parse(phone).expect("a number")),
            address,
            tax_id: tax_id.map(|id| TaxId::parse(id).expect("a text")),
            details,
            metadata: Metadata::new(&metadata).expect("small"),
        };
        (profile, if shares { EmailUse::Shared } else { EmailUse::Exclusive }, is_archived)
    }
}

proptest! {
    #[test]
    fn an_export_is_imported_as_it_was(
        first in profile(0), second in profile(1), third in profile(2), count in 0..4_usize,
    ) {
        check([first, second, third].into_iter().take(count).collect());
    }
}
