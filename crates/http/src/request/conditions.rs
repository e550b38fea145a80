//! Entity tags and the conditional headers `If-Match` and `If-None-Match` (RFC 9110 §8.8.3 and §13).
//!
//! The tag of a customer is its identifier and its version, that of a subscription its customer's identifier and its own
//! version. It is strong: within one version of this
//! program, the same tag on the same path is the same answer, byte by byte.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use roster_application::{Precondition, Revision, Revisions};
use roster_domain::CustomerId;

use crate::failure::Failure;

/// What the conditional headers of a request ask for; none: nothing.
///
/// # Errors
/// [`Failure::MalformedHeader`]
pub(crate) fn precondition(request: &HttpRequest) -> Result<Precondition, Failure> {
    let expected = read(request, &header::IF_MATCH, Comparison::Strong);
    let excluded = read(request, &header::IF_NONE_MATCH, Comparison::Weak);
    Ok(Precondition {
        expected: expected.map_err(|Malformed| Failure::MalformedHeader("If-Match"))?,
        excluded: excluded.map_err(|Malformed| Failure::MalformedHeader("If-None-Match"))?,
    })
}

/// The entity tag of a revision, as the header `ETag` has it.
pub(crate) fn entity_tag(revision: Revision) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{}\"", opaque_tag(revision))).ok()
}

/// How tags are compared (RFC 9110 §8.8.3.2). Only tags of clients can be weak: this service sends strong ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag equals none.
    Strong,
    /// A weak tag equals the strong one with the same text.
    Weak,
}

/// A conditional header that is neither `*` nor a list of tags.
struct Malformed;

/// What a header names; `None` if there is no such header.
fn read(request: &HttpRequest, name: &HeaderName, comparison: Comparison) -> Result<Option<Revisions>, Malformed> {
    let mut values = request.headers().get_all(name).peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    let list: Vec<&[u8]> = values.map(HeaderValue::as_bytes).collect();
    // Several fields of one name are one list (RFC 9110 §5.3).
    parse(&list.join(&b','), comparison).map(Some).ok_or(Malformed)
}

/// Parses `"*" / #entity-tag`. `None` if it is neither.
fn parse(list: &[u8], comparison: Comparison) -> Option<Revisions> {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return Some(Revisions::Any);
    }
    let mut revisions = Vec::new();
    let mut is_empty = true;
    while !rest.is_empty() {
        // A list may have empty elements (RFC 9110 §5.6.1).
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
            continue;
        }
        let (tag, is_weak, behind) = take_tag(rest)?;
        // A tag that this service has not made names no revision, but is not a fault.
        let equals = !is_weak || comparison == Comparison::Weak;
        revisions.extend(parse_opaque_tag(tag).filter(|_| equals));
        is_empty = false;
        rest = behind.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    (!is_empty).then_some(Revisions::OneOf(revisions))
}

/// Takes the first tag of a list: its text, whether it is weak, and what is behind it.
fn take_tag(list: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (is_weak, quoted) = match list.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, list),
    };
    let text = quoted.strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    let (tag, behind) = text.split_at(end);
    let is_allowed = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff);
    tag.iter().all(is_allowed).then(|| (tag, is_weak, &behind[1..]))
}

fn opaque_tag(revision: Revision) -> String {
    format!("{}-{}", revision.customer.suffix(), revision.version)
}

fn parse_opaque_tag(tag: &[u8]) -> Option<Revision> {
    let tag = str::from_utf8(tag).ok()?;
    let (customer, version) = tag.split_once('-')?;
    let revision = Revision { customer: CustomerId::from_suffix(customer)?, version: version.parse().ok()? };
    // Tags are compared character by character: one revision has one tag.
    (opaque_tag(revision) == tag).then_some(revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const ID: &str = "01h2xcejqtf2nbrexx3vqjhp41";

    fn revision(version: i64) -> Revision {
        Revision { customer: CustomerId::from_suffix(ID).expect("26 characters"), version }
    }

    /// What both headers with these values ask for.
    fn read(values: &[&str]) -> [Option<Revisions>; 2] {
        [(header::IF_MATCH, "If-Match"), (header::IF_NONE_MATCH, "If-None-Match")].map(|(header, name)| {
            let request = values.iter().fold(TestRequest::default(), |request, value| {
                request.append_header((header.clone(), HeaderValue::from_bytes(value.as_bytes()).expect("a value")))
            });
            match precondition(&request.to_http_request()) {
                Ok(Precondition { expected, excluded }) => {
                    assert!(expected.is_none() || excluded.is_none());
                    Some(expected.or(excluded).unwrap_or_else(|| panic!("{values:?}: no {name}")))
                }
                Err(Failure::MalformedHeader(malformed)) => {
                    assert_eq!(malformed, name);
                    None
                }
                Err(other) => panic!("{other:?}"),
            }
        })
    }

    fn of(versions: &[i64]) -> Revisions {
        Revisions::OneOf(versions.iter().map(|&version| revision(version)).collect())
    }

    #[test]
    fn a_request_without_conditions_has_none() {
        let none = precondition(&TestRequest::default().to_http_request()).expect("nothing is malformed");
        assert_eq!(none, Precondition::default());
    }

    #[test]
    fn a_tag_comes_back_as_its_revision() {
        for version in [1, 9, i64::MAX] {
            let tag = entity_tag(revision(version)).expect("a header");
            let text = tag.to_str().expect("ASCII");
            assert_eq!(read(&[text]), [Some(of(&[version])), Some(of(&[version]))], "{text}");
        }
    }

    #[test]
    fn a_star_and_a_list_of_tags_are_understood_as_rfc_9110_writes_them() {
        let both = |expected: Revisions| [Some(expected.clone()), Some(expected)];
        let tag = |version| format!("\"{ID}-{version}\"");
        assert_eq!(read(&["*"]), both(Revisions::Any));
        assert_eq!(read(&[" * "]), both(Revisions::Any));
        let list = format!(" , {},{} ,, \"other, tag\" ,{},", tag(1), tag(2), tag(3));
        assert_eq!(read(&[&list.replace("other, tag", "other,tag")]), both(of(&[1, 2, 3])));
        assert_eq!(read(&[&tag(1), &tag(2)]), both(of(&[1, 2])));
        // A tag that this service never made is equal to none of its own.
        for unknown in ["\"\"", "\"x\"", "\"é!~\"", "\"W/x\"", "\"-1\"", "\"01h2xcejqtf2nbrexx3vqjhp41\""] {
            assert_eq!(read(&[unknown]), both(of(&[])), "{unknown}");
        }
        for respelt in [format!("\"{ID}-01\""), format!("\"{ID}-+1\""), format!("\"{}-1\"", ID.to_uppercase())] {
            assert_eq!(read(&[&respelt]), both(of(&[])), "{respelt}");
        }
    }

    #[test]
    fn a_weak_tag_is_equal_for_if_none_match_only() {
        assert_eq!(read(&[&format!("W/\"{ID}-7\"")]), [Some(of(&[])), Some(of(&[7]))]);
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            "",
            ",",
            "x",
            "\"x",
            "x\"",
            "\"a\"\"b\"",
            "\"a\" \"b\"",
            "\"a b\"",
            "w/\"a\"",
            "W/ \"a\"",
            "*, \"a\"",
            "**",
        ] {
            assert_eq!(read(&[value]), [None, None], "{value}");
        }
        assert_eq!(read(&["\"a\"", "*"]), [None, None]);
    }
}
