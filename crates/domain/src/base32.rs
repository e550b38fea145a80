//! 128 bits as 26 characters of Crockford base32, the suffix that TypeID and ULID use.
//!
//! The 26 characters hold 130 bits, so the first is at most `7`. The alphabet is `0-9a-z` without `i`, `l`, `o` and
//! `u`, in ASCII order, so texts sort as their numbers do. There are no aliases: one number has one spelling.

use std::fmt;
use std::ops::Deref;

/// The number of characters for 128 bits.
pub const LENGTH: usize = 26;

// In ASCII order: `decode` uses a binary search.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 lower-case characters, on the stack: every response and every log line writes several identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Encoded([u8; LENGTH]);

impl Deref for Encoded {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Encodes `value` in lower case.
#[must_use]
pub fn encode(mut value: u128) -> Encoded {
    let mut digits = [0; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[value as usize & 31];
        value >>= 5;
    }
    Encoded(digits)
}

/// Decodes what [`encode`] returns: lower case only. `None` for anything else.
#[must_use]
pub fn decode(text: &str) -> Option<u128> {
    let digits = text.as_bytes();
    if digits.len() != LENGTH || digits[0] > b'7' {
        return None;
    }
    digits.iter().try_fold(0u128, |value, digit| {
        let five = ALPHABET.binary_search(digit).ok()?;
        Some(value << 5 | five as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_the_typeid_specification_pass() {
        // github.com/jetify-com/typeid: spec/valid.json
        assert_eq!(&*encode(0), "00000000000000000000000000");
        assert_eq!(&*encode(u128::MAX), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(&*encode(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881), "01h2xcejqtf2nbrexx3vqjhp41");
    }

    #[test]
    fn a_malformed_text_is_refused() {
        for text in [
            "",
            "8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "0000000000000000000000000u",
            "0000000000000000000000000A",
            "000000000000000000000000000",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_round_trips_and_keeps_its_order(a: u128, b: u128) {
            prop_assert_eq!(decode(&encode(a)), Some(a));
            prop_assert_eq!(a.cmp(&b), encode(a).cmp(&encode(b)));
        }

        #[test]
        fn no_text_makes_decode_panic(text in "\\PC{0,30}") {
            if let Some(value) = decode(&text) {
                prop_assert_eq!(&*encode(value), text);
            }
        }
    }
}
