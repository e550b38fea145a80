//! E-mail addresses, and the key that decides whether two of them are the same.
//!
//! Databases compare text in different ways (`lower`, `NOCASE` and `citext` disagree on İ, the Kelvin sign and É), so
//! the key is computed here and stored as plain bytes. `golden/email_keys.tsv` pins the keys of sample addresses.

use caseless::Caseless;
use email_address::{EmailAddress, Options};
use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, NoncharacterCodePoint};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use crate::Rule;

/// An e-mail address as it was typed, with its comparison key.
///
/// Two addresses are the same if their keys are equal. Case, Unicode composition, compatibility forms and the spelling
/// of an international domain make no difference; dots and `+tags` in the local part do.
#[derive(Debug, Clone)]
pub struct Email {
    address: String,
    key: String,
}

/// Why an e-mail address was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Empty, or only white space.
    #[error("must not be empty")]
    Empty,
    /// More than 254 bytes (RFC 5321 §4.5.3.1.3), as typed or as its key.
    #[error("must be at most 254 bytes long")]
    TooLong,
    /// A control character, which is never trimmed silently.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// White space inside, a character that is invisible or changes the writing direction, or a noncharacter.
    #[error("must not contain white space or invisible characters")]
    Invisible,
    /// No `@`, or several.
    #[error("must contain exactly one @")]
    NotOneAt,
    /// More than 64 bytes before the `@` (RFC 5321 §4.5.3.1.1).
    #[error("must have at most 64 bytes before the @")]
    LocalPartTooLong,
    /// The part before the `@` is not an RFC 5322 dot-atom; quoted forms are refused.
    #[error("must have a valid name before the @, such as ada in ada@example.com")]
    LocalPart,
    /// The part after the `@` is not a domain name of at least two labels.
    #[error("must have a valid domain behind the @, such as example.com in ada@example.com")]
    Domain,
}

impl Rule for EmailError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong | Self::LocalPartTooLong => "too_long",
            Self::ControlCharacter => "control_character",
            Self::Invisible | Self::NotOneAt | Self::LocalPart | Self::Domain => "invalid_email",
        }
    }
}

impl PartialEq for Email {
    /// Whether both were typed the same way; compare [`Email::key`] to find out whether they are the same address.
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Email {}

impl Email {
    /// The most bytes an address may have.
    pub const MAX_BYTES: usize = 254;
    /// The most bytes before the `@`.
    pub const MAX_LOCAL_BYTES: usize = 64;

    /// Parses an address: trims white space at its ends and computes its key.
    ///
    /// # Errors
    /// [`EmailError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.chars().any(char::is_control) {
            return Err(EmailError::ControlCharacter);
        }
        let address = text.trim();
        if address.is_empty() {
            return Err(EmailError::Empty);
        }
        if address.len() > Self::MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let key = key(address)?;
        Ok(Self { address: address.to_owned(), key })
    }

    /// Restores an address and its key from a row that this service wrote, without checking them again: a rule made
    /// stricter later must not make a stored customer unreadable.
    #[must_use]
    pub fn restore(address: String, key: String) -> Self {
        Self { address, key }
    }

    /// The address as it was typed, trimmed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The comparison key: at most 254 bytes, to be compared byte by byte.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn key(address: &str) -> Result<String, EmailError> {
    // Checked before and after NFKC, which may turn an allowed character into a forbidden one: ¨ becomes a space and
    // a combining mark.
    let composed: String = address.nfkc().collect();
    if address.chars().chain(composed.chars()).any(is_white_or_invisible) {
        return Err(EmailError::Invisible);
    }
    let (local, domain) = composed.split_once('@').ok_or(EmailError::NotOneAt)?;
    if domain.contains('@') {
        return Err(EmailError::NotOneAt);
    }
    let domain = domain_key(domain)?;
    let local = local_key(local)?;
    let key = format!("{local}@{domain}");
    if key.len() > Email::MAX_BYTES {
        return Err(EmailError::TooLong);
    }
    check_syntax(&key)?;
    Ok(key)
}

fn local_key(local: &str) -> Result<String, EmailError> {
    if local.len() > Email::MAX_LOCAL_BYTES {
        return Err(EmailError::LocalPartTooLong);
    }
    if local.is_empty() || local.contains('"') {
        return Err(EmailError::LocalPart);
    }
    // Case folding may lengthen the text: İ becomes two characters.
    let key: String = local.chars().default_case_fold().nfkc().collect();
    if key.len() > Email::MAX_LOCAL_BYTES {
        return Err(EmailError::LocalPartTooLong);
    }
    Ok(key)
}

fn domain_key(domain: &str) -> Result<String, EmailError> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| EmailError::Domain)?;
    // RFC 3696 §2: a top-level domain is not all digits. This refuses addresses of the form ada@127.0.0.1 too.
    let (_, top) = ascii.rsplit_once('.').ok_or(EmailError::Domain)?;
    if top.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EmailError::Domain);
    }
    Ok(ascii.into_owned())
}

/// Checks the syntax of a key, with each non-ASCII character replaced by a letter.
///
/// RFC 6531 §3.3 allows every non-ASCII character where a letter is allowed. The library allows only letters there and
/// would refuse the combining marks of many scripts.
fn check_syntax(key: &str) -> Result<(), EmailError> {
    let ascii: String = key.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    EmailAddress::parse_with_options(&ascii, options).map_err(|_| EmailError::LocalPart)?;
    Ok(())
}

/// Whether `c` is white space, or has nothing to show: with one of them, two different addresses could look the same.
///
/// Unicode's property `Default_Ignorable_Code_Point` has the zero-width characters, the fillers, and the marks that change
/// the writing direction. A noncharacter is none that a text may have.
fn is_white_or_invisible(c: char) -> bool {
    c.is_whitespace()
        || !c.is_ascii()
            && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
                || CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
                || BLANKS.contains(&c))
}

/// Characters without a property that says so, whose glyphs are empty, or that stand for something which is not there.
const BLANKS: [char; 9] = [
    '\u{2800}',  // BRAILLE PATTERN BLANK
    '\u{fff9}',  // INTERLINEAR ANNOTATION ANCHOR
    '\u{fffa}',  // INTERLINEAR ANNOTATION SEPARATOR
    '\u{fffb}',  // INTERLINEAR ANNOTATION TERMINATOR
    '\u{fffc}',  // OBJECT REPLACEMENT CHARACTER
    '\u{13441}', // EGYPTIAN HIEROGLYPH FULL BLANK
    '\u{13442}', // EGYPTIAN HIEROGLYPH HALF BLANK
    '\u{16fe4}', // KHITAN SMALL SCRIPT FILLER
    '\u{1d159}', // MUSICAL SYMBOL NULL NOTEHEAD
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_golden_vectors_pass() {
        let lines = include_str!("../golden/email_keys.tsv").lines().filter(|line| !line.starts_with('#'));
        let mut read = 0;
        for line in lines {
            let (address, key) = line.split_once('\t').expect("a tab in every line");
            assert_eq!(Email::parse(address).map(|e| e.key).as_deref(), Ok(key), "{address}");
            read += 1;
        }
        assert!(read > 20, "the file has lost its vectors");
    }

    #[test]
    fn each_rule_has_its_own_error() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "b.".repeat(130));
        for (address, error) in [
            ("", EmailError::Empty),
            ("   ", EmailError::Empty),
            (long.as_str(), EmailError::TooLong),
            (long_local.as_str(), EmailError::LocalPartTooLong),
            ("a\0@example.com", EmailError::ControlCharacter),
            ("ada@example.com\n", EmailError::ControlCharacter),
            ("a da@example.com", EmailError::Invisible),
            ("a\u{a0}da@example.com", EmailError::Invisible),
            ("a\u{200b}da@example.com", EmailError::Invisible),
            ("a\u{202e}da@example.com", EmailError::Invisible),
            ("a\u{2800}da@example.com", EmailError::Invisible),
            ("a\u{fffc}da@example.com", EmailError::Invisible),
            ("a\u{ffff}da@example.com", EmailError::Invisible),
            ("a\u{fdd0}da@example.com", EmailError::Invisible),
            ("a\u{10fffe}da@example.com", EmailError::Invisible),
            ("ada", EmailError::NotOneAt),
            ("ada@b@example.com", EmailError::NotOneAt),
            ("ada@b＠example.com", EmailError::NotOneAt),
            ("@example.com", EmailError::LocalPart),
            ("a..b@example.com", EmailError::LocalPart),
            (".a@example.com", EmailError::LocalPart),
            ("\"ada\"@example.com", EmailError::LocalPart),
            ("ada(x)@example.com", EmailError::LocalPart),
            ("<ada@example.com", EmailError::LocalPart),
            ("ada@", EmailError::Domain),
            ("ada@localhost", EmailError::Domain),
            ("ada@example.com.", EmailError::Domain),
            ("ada@.example.com", EmailError::Domain),
            ("ada@-example.com", EmailError::Domain),
            ("ada@exa_mple.com", EmailError::Domain),
            ("ada@127.0.0.1", EmailError::Domain),
            ("ada@[127.0.0.1]", EmailError::Domain),
        ] {
            assert_eq!(Email::parse(address).map(|e| e.key), Err(error), "{address:?}");
        }
    }

    #[test]
    fn an_address_is_kept_as_typed_except_for_white_space_at_its_ends() {
        let email = Email::parse("  Ada@Example.COM ").expect("an address");
        assert_eq!((email.as_str(), email.key()), ("Ada@Example.COM", "ada@example.com"));
    }

    #[test]
    fn no_character_that_shows_nothing_is_accepted() {
        // DerivedCoreProperties.txt of Unicode, Default_Ignorable_Code_Point, and the noncharacters of its chapter 23.7.
        let ignorable = [
            0xad..=0xad,
            0x34f..=0x34f,
            0x61c..=0x61c,
            0x115f..=0x1160,
            0x17b4..=0x17b5,
            0x180b..=0x180f,
            0x200b..=0x200f,
            0x202a..=0x202e,
            0x2060..=0x206f,
            0x3164..=0x3164,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0xffa0..=0xffa0,
            0xfff0..=0xfff8,
            0x1bca0..=0x1bca3,
            0x1d173..=0x1d17a,
            0xe0000..=0xe0fff,
            0xfdd0..=0xfdef,
        ];
        let last_two = (0..=16).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
        let refused = ignorable.into_iter().flatten().chain(last_two).chain(BLANKS.map(u32::from));
        for c in refused.map(|code| char::from_u32(code).expect("no surrogate")) {
            let address = format!("a{c}da@example.com");
            assert_eq!(Email::parse(&address).map(|e| e.key), Err(EmailError::Invisible), "{address:?}");
        }
    }

    #[test]
    fn letters_of_many_scripts_and_their_marks_are_accepted() {
        for local in ["用户", "ёлка", "نورا", "नेहा", "สมชาย", "יעל", "⠁⠙⠁", "e\u{301}va", "😀", "\u{fffd}"]
        {
            assert!(Email::parse(&format!("{local}@example.com")).is_ok(), "{local}");
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_the_key_itself(text in "\\PC{1,12}@[a-zA-Zé-ýà-ö]{1,8}\\.(com|De)") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.key()).map(|again| again.key), Ok(email.key));
            }
        }

        #[test]
        fn ascii_case_makes_no_difference(local in "[a-z0-9+._-]{1,20}", domain in "[a-z]{1,9}\\.[a-z]{2,5}") {
            let lower = format!("{local}@{domain}");
            let upper = lower.to_ascii_uppercase();
            prop_assert_eq!(Email::parse(&lower).map(|e| e.key), Email::parse(&upper).map(|e| e.key));
        }

        #[test]
        fn no_text_makes_parse_panic(text in any::<String>()) {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.key().len() <= Email::MAX_BYTES);
                prop_assert_eq!(email.key().matches('@').count(), 1);
            }
        }
    }
}
