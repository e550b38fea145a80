//! What bills and messages to a customer depend on, besides its name and address.

use crate::text::text;
use crate::{Edit, Rule};

text!(
    /// The name of the customer's business, at most 256 characters.
    BusinessName, 0..=256
);

/// Whether the customer pays taxes. Unknown if it is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaxExemption {
    /// It pays them.
    None,
    /// It pays none.
    Exempt,
    /// It pays them to the state itself, and not to the merchant: the reverse charge of a value-added tax.
    Reverse,
}

/// Not a tax exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be none, exempt or reverse")]
pub struct TaxExemptionError;

impl Rule for TaxExemptionError {
    fn code(&self) -> &'static str {
        "invalid_tax_exempt"
    }
}

impl TaxExemption {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Exempt, Self::Reverse];

    /// Parses a name in lower case.
    ///
    /// # Errors
    /// [`TaxExemptionError`] for any other text.
    pub fn parse(name: &str) -> Result<Self, TaxExemptionError> {
        Self::ALL.into_iter().find(|one| one.as_str() == name).ok_or(TaxExemptionError)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exempt => "exempt",
            Self::Reverse => "reverse",
        }
    }
}

/// A language, with its script and region where they matter: a language tag of BCP 47 (RFC 5646), in the capitalisation
/// that it recommends, such as `pt-BR`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Locale(String);

/// Not a language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a valid BCP 47 language tag of at most {max} characters, such as en or pt-BR", max = Locale::MAX)]
pub struct LocaleError;

impl Rule for LocaleError {
    fn code(&self) -> &'static str {
        "invalid_locale"
    }
}

impl Locale {
    /// The most characters it may have. RFC 5646 sets no limit, and asks for at least 35.
    pub const MAX: usize = 64;

    /// Parses a tag whose subtags are registered, in any case.
    ///
    /// # Errors
    /// [`LocaleError`] for anything else.
    pub fn parse(tag: &str) -> Result<Self, LocaleError> {
        if tag.len() > Self::MAX {
            return Err(LocaleError);
        }
        let tag = language_tags::LanguageTag::parse(tag).map_err(|_| LocaleError)?;
        tag.validate().map_err(|_| LocaleError)?;
        Ok(Self(tag.into_string()))
    }
}

/// A time zone: the name of a zone or a link of the IANA Time Zone Database, such as `Europe/Paris`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeZone(String);

/// Not the name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a time zone in the IANA database, such as Europe/Paris or UTC")]
pub struct TimeZoneError;

impl Rule for TimeZoneError {
    fn code(&self) -> &'static str {
        "invalid_timezone"
    }
}

impl TimeZone {
    /// The names, sorted, after a line that says where they are from.
    const NAMES: &str = include_str!("timezones.txt");

    /// Parses a name in any case; it is kept as the database spells it.
    ///
    /// # Errors
    /// [`TimeZoneError`] if the database has no such name.
    pub fn parse(name: &str) -> Result<Self, TimeZoneError> {
        let is_name = |known: &&str| known.eq_ignore_ascii_case(name);
        Self::NAMES.lines().skip(1).find(is_name).map(|known| Self(known.to_owned())).ok_or(TimeZoneError)
    }
}

macro_rules! restored {
    ($name:ident) => {
        impl $name {
            /// Restores the text of a row that this service wrote, without looking it up again: what is withdrawn later
            /// must not make a stored row unreadable.
            #[must_use]
            pub fn restore(text: String) -> Self {
                Self(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

restored!(Locale);
restored!(TimeZone);
restored!(Currency);

/// A currency: an active alphabetic code of ISO 4217, upper case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Currency(String);

/// Not the code of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an active ISO 4217 currency code, such as USD")]
pub struct CurrencyError;

impl Rule for CurrencyError {
    fn code(&self) -> &'static str {
        "invalid_currency"
    }
}

impl Currency {
    /// The active codes of currencies and funds, as of January 2026: list one of ISO 4217, which SIX maintains.
    const CODES: &str = "\
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD \
        CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL \
        GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW \
        KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD \
        NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP \
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS \
        VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER \
        ZAR ZMW ZWG";

    /// Parses a code in upper or lower case.
    ///
    /// # Errors
    /// [`CurrencyError`] if the code is not active.
    pub fn parse(code: &str) -> Result<Self, CurrencyError> {
        let is_code = |known: &&str| known.eq_ignore_ascii_case(code);
        Self::CODES.split(' ').find(is_code).map(|known| Self(known.to_owned())).ok_or(CurrencyError)
    }
}

/// The details of a customer. Every one may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The name of its business.
    pub business_name: Option<BusinessName>,
    /// Whether it pays taxes.
    pub tax_exempt: Option<TaxExemption>,
    /// Its language.
    pub locale: Option<Locale>,
    /// Its time zone.
    pub timezone: Option<TimeZone>,
    /// The currency that it pays in.
    pub currency: Option<Currency>,
}

/// An edit of each detail.
#[derive(Debug, Clone, Default)]
pub struct DetailsEdit {
    /// The name of the business.
    pub business_name: Edit<BusinessName>,
    /// Whether the customer pays taxes.
    pub tax_exempt: Edit<TaxExemption>,
    /// The language.
    pub locale: Edit<Locale>,
    /// The time zone.
    pub timezone: Edit<TimeZone>,
    /// The currency.
    pub currency: Edit<Currency>,
}

impl DetailsEdit {
    /// Applies this edit to `details`.
    pub fn apply(self, details: &mut Details) {
        self.business_name.apply(&mut details.business_name);
        self.tax_exempt.apply(&mut details.tax_exempt);
        self.locale.apply(&mut details.locale);
        self.timezone.apply(&mut details.timezone);
        self.currency.apply(&mut details.currency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_language_tag_is_valid_and_capitalised_as_recommended() {
        for (given, kept) in [
            ("en", "en"),
            ("EN", "en"),
            ("pt-br", "pt-BR"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("de-CH-1996", "de-CH-1996"),
            ("sr-Latn-RS-x-private", "sr-Latn-RS-x-private"),
            ("en-u-hc-h12", "en-u-hc-h12"),
            ("i-klingon", "i-klingon"),
        ] {
            assert_eq!(Locale::parse(given).map(|locale| locale.as_str().to_owned()), Ok(kept.to_owned()), "{given}");
        }
        let long = format!("en-x-{}", ["abcdefgh"; 7].join("-"));
        for tag in ["", "e", "english", "en_US", "en-", "-en", "en--US", "xx", "en-ZZZ", "é", "en US", "en\0", &long] {
            assert_eq!(Locale::parse(tag), Err(LocaleError), "{tag}");
        }
    }

    #[test]
    fn a_time_zone_is_found_in_any_case_and_kept_as_the_database_spells_it() {
        for (given, kept) in [
            ("Europe/Paris", "Europe/Paris"),
            ("america/los_angeles", "America/Los_Angeles"),
            ("utc", "UTC"),
            ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            ("Asia/Calcutta", "Asia/Calcutta"),
            ("Etc/GMT+12", "Etc/GMT+12"),
        ] {
            assert_eq!(TimeZone::parse(given).map(|zone| zone.as_str().to_owned()), Ok(kept.to_owned()), "{given}");
        }
        for name in
            ["", "Paris", "Europe/", "Europe/Atlantis", "+02:00", "CEST", "Factory", "Europe/Paris\n", "# Zones"]
        {
            assert_eq!(TimeZone::parse(name), Err(TimeZoneError), "{name:?}");
        }
        assert!(TimeZone::NAMES.starts_with("# ") && TimeZone::NAMES.lines().count() > 590);
    }

    #[test]
    fn a_currency_is_active_and_in_upper_case() {
        for (given, kept) in [("USD", "USD"), ("eur", "EUR"), ("Jpy", "JPY"), ("ZWG", "ZWG"), ("xcg", "XCG")] {
            assert_eq!(Currency::parse(given).map(|code| code.as_str().to_owned()), Ok(kept.to_owned()), "{given}");
        }
        for code in ["", "US", "USD ", "USDT", "DEM", "HRK", "BTC", "$", "€", "usd eur", "   "] {
            assert_eq!(Currency::parse(code), Err(CurrencyError), "{code:?}");
        }
        assert!(Currency::CODES.split(' ').all(|code| code.len() == 3) && Currency::CODES.is_ascii());
    }

    #[test]
    fn a_tax_exemption_has_one_of_three_names() {
        for one in TaxExemption::ALL {
            assert_eq!(TaxExemption::parse(one.as_str()), Ok(one));
        }
        for name in ["", "None", "EXEMPT", "true", "no"] {
            assert_eq!(TaxExemption::parse(name), Err(TaxExemptionError), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_defect_and_what_is_kept_is_read_again(text in "\\PC{0,80}|[A-Za-z0-9]{1,9}(-[A-Za-z0-9]{1,9}){0,7}") {
            if let Ok(locale) = Locale::parse(&text) {
                prop_assert_eq!(Locale::parse(locale.as_str()), Ok(locale));
            }
            if let Ok(zone) = TimeZone::parse(&text) {
                prop_assert_eq!(TimeZone::parse(zone.as_str()), Ok(zone));
            }
            if let Ok(currency) = Currency::parse(&text) {
                prop_assert_eq!(Currency::parse(currency.as_str()), Ok(currency));
            }
        }
    }
}
