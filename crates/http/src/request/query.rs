//! Reads queries: the size of a page and its start, and parameters that are texts.

use actix_web::HttpRequest;
use roster_application::PageSize;
use roster_domain::CustomerId;

use crate::failure::{Failure, Fault, Faults, Place};

/// The most items of a list that a request may skip: the database reads them.
pub(crate) const MAX_OFFSET: usize = 10_000;

/// What to do with unknown parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Report them, so that a mistyped filter does not return every item.
    Refuse,
    /// Ignore them.
    Ignore,
}

/// The page of a list that a request asks for.
#[derive(Debug)]
pub(crate) struct PageQuery<C> {
    /// The most items: `limit`, 1 to 100, default 25.
    pub(crate) size: PageSize,
    /// The item that the page follows: `cursor`, from an earlier page.
    pub(crate) cursor: Option<C>,
}

impl<C> PageQuery<C> {
    /// Reads `limit` and `cursor`.
    pub(crate) fn read(
        request: &HttpRequest,
        unknown: Unknown,
        parse_cursor: impl Fn(&str) -> Option<C>,
    ) -> Result<Self, Failure> {
        Self::read_with(request, unknown, parse_cursor, |_, _| None)
    }

    /// Reads `limit` and `cursor`, and the parameters that `read_other` knows; it returns `None` for any other.
    pub(crate) fn read_with(
        request: &HttpRequest,
        unknown: Unknown,
        parse_cursor: impl Fn(&str) -> Option<C>,
        mut read_other: impl FnMut(&str, &str) -> Option<Result<(), Fault>>,
    ) -> Result<Self, Failure> {
        let mut page = Self { size: PageSize::DEFAULT, cursor: None };
        let mut faults = Faults::default();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            match &*name {
                "limit" => match value.parse().ok().and_then(PageSize::new) {
                    Some(size) => page.size = size,
                    None => faults.add(|| fault("limit", "must be a number from 1 to 100")),
                },
                "cursor" => match parse_cursor(&value) {
                    Some(cursor) => page.cursor = Some(cursor),
                    None => faults.add(|| fault("cursor", "must be a cursor that an earlier page gave")),
                },
                _ => match read_other(&name, &value) {
                    Some(Ok(())) => {}
                    Some(Err(fault)) => faults.add(|| fault),
                    None if unknown == Unknown::Ignore => {}
                    None => faults.add(|| unknown_parameter(name.into_owned())),
                },
            }
        }
        faults.check().map(|()| page)
    }
}

/// Reads the parameters called `names`, in this order, passes over those called `ignored`, and refuses all others. One that
/// is given several times must have one value: each value would find other customers.
pub(crate) fn texts<const N: usize>(
    request: &HttpRequest,
    names: [&'static str; N],
    ignored: &[&str],
) -> Result<[Option<String>; N], Failure> {
    let mut texts = [const { None }; N];
    let mut faults = Faults::default();
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        match names.iter().position(|known| *known == name) {
            Some(place) => match &texts[place] {
                Some(earlier) if *earlier != value => {
                    faults.add(|| fault(names[place], "must not be given twice with different values"));
                }
                _ => texts[place] = Some(value.into_owned()),
            },
            None if ignored.contains(&&*name) => {}
            None => faults.add(|| unknown_parameter(name.into_owned())),
        }
    }
    faults.check().map(|()| texts)
}

/// The fault of a parameter with a value that it cannot have.
pub(crate) fn fault(name: &'static str, detail: &str) -> Fault {
    Fault { place: Place::Parameter(name), code: "invalid_parameter", detail: detail.to_owned() }
}

fn unknown_parameter(name: String) -> Fault {
    let detail = "is not a parameter of this request".to_owned();
    Fault { place: Place::UnknownParameter(name), code: "unknown_parameter", detail }
}

/// The cursor for the page after a customer: the 26 characters of its identifier, on every surface.
pub(crate) fn cursor_behind(customer: CustomerId) -> String {
    customer.suffix().to_string()
}

/// Parses what [`cursor_behind`] returns.
pub(crate) fn parse_cursor(cursor: &str) -> Option<CustomerId> {
    CustomerId::from_suffix(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(query: &str, unknown: Unknown) -> Result<(usize, Option<CustomerId>), Vec<String>> {
        let request = TestRequest::with_uri(&format!("/v1/customers?{query}")).to_http_request();
        match PageQuery::read(&request, unknown, parse_cursor) {
            Ok(page) => Ok((page.size.get(), page.cursor)),
            Err(Failure::Invalid(faults)) => Err(faults.listed().iter().map(|fault| fault.place.to_string()).collect()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_has_25_items_unless_1_to_100_are_asked_for() {
        assert_eq!(read("", Unknown::Refuse), Ok((25, None)));
        assert_eq!(read("limit=1", Unknown::Refuse), Ok((1, None)));
        assert_eq!(read("limit=100", Unknown::Refuse), Ok((100, None)));
        for limit in ["0", "101", "-1", "x", "", "1e2", "99999999999999999999"] {
            assert_eq!(read(&format!("limit={limit}"), Unknown::Ignore), Err(vec!["limit".to_owned()]), "{limit}");
        }
    }

    #[test]
    fn a_cursor_round_trips_and_anything_else_is_refused() {
        let id = CustomerId::from_suffix("01h2xcejqtf2nbrexx3vqjhp41").expect("26 characters");
        assert_eq!(read(&format!("cursor={}", cursor_behind(id)), Unknown::Refuse), Ok((25, Some(id))));
        for cursor in ["", "x", "cus_01h2xcejqtf2nbrexx3vqjhp41", "%00", "%ff"] {
            assert_eq!(read(&format!("cursor={cursor}"), Unknown::Ignore), Err(vec!["cursor".to_owned()]), "{cursor}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_or_ignored() {
        assert_eq!(read("limt=5&a", Unknown::Refuse), Err(vec!["limt".to_owned(), "a".to_owned()]));
        assert_eq!(read("limt=5&a", Unknown::Ignore), Ok((25, None)));
    }

    #[test]
    fn texts_are_read_by_name_and_only_known_parameters_are_taken() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/api/customers?{query}")).to_http_request();
            texts(&request, ["a", "b"], &["c"]).map_err(|failure| match failure {
                Failure::Invalid(faults) => {
                    faults.listed().iter().map(|fault| (fault.place.to_string(), fault.code)).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            })
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(read(""), Ok([None, None]));
        assert_eq!(read("b=x%2Fy+z%C3%BC&a=&c=1&c"), Ok([text(""), text("x/y zü")]));
        assert_eq!(read("a=x&a=x"), Ok([text("x"), None]));
        assert_eq!(read("a=x&a=y"), Err(vec![("a".to_owned(), "invalid_parameter")]));
        assert_eq!(read("A=x"), Err(vec![("A".to_owned(), "unknown_parameter")]));
    }
}
