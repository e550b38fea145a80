//! Reads queries: the size of a page and its start, and filters; and writes where a list goes on.

use actix_web::HttpRequest;
use roster_application::PageSize;
use roster_domain::{Email, Rule};

use crate::failure::{Failure, Fault, Faults, Place};
use crate::given::Given;

/// The most items of a list that a request may skip: the database reads them.
pub(crate) const MAX_OFFSET: usize = 10_000;

/// What is wrong with a cursor that is refused.
pub(crate) const INVALID_CURSOR: &str =
    "must be the unchanged cursor of an earlier page of the same list, with the same filters and the same order";

/// The page of a list that a request asks for.
#[derive(Debug)]
pub(crate) struct PageQuery {
    /// The most items: `limit`, 1 to 100, default 25.
    pub(crate) size: PageSize,
    /// Where the page begins: `cursor`, from an earlier page.
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    /// Reads `limit` and `cursor`.
    pub(crate) fn read(request: &HttpRequest) -> Result<Self, Failure> {
        Self::read_with(request, |_, _| None)
    }

    /// Reads `limit` and `cursor`, and with `read_other` the [parameters](read_parameters) that it knows.
    pub(crate) fn read_with(
        request: &HttpRequest,
        mut read_other: impl FnMut(&str, &str) -> Option<Result<(), Fault>>,
    ) -> Result<Self, Failure> {
        let mut page = Self { size: PageSize::DEFAULT, cursor: None };
        read_parameters(request, |name, value| match name {
            "limit" => Some(match value.parse().ok().and_then(PageSize::new) {
                Some(size) => {
                    page.size = size;
                    Ok(())
                }
                None => Err(fault("limit", "must be a number from 1 to 100")),
            }),
            "cursor" => {
                page.cursor = Some(value.to_owned());
                Some(Ok(()))
            }
            _ => read_other(name, value),
        })?;
        Ok(page)
    }
}

/// Where a list goes on, as the header `Link` says it (RFC 8288): the same list, with the cursor of the next page.
pub(crate) fn link_to_next(request: &HttpRequest, cursor: &str) -> String {
    let is_kept = |parameter: &&str| !["cursor", "offset"].contains(&parameter.split('=').next().unwrap_or_default());
    let kept = request.query_string().split('&').filter(|parameter| !parameter.is_empty()).filter(is_kept);
    let parameters: Vec<String> = kept.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    format!("<{}?{}>; rel=\"next\"", request.path(), parameters.join("&"))
}

/// Passes each parameter of a query to `read`, by its name and its value, and refuses those for which it returns `None`: a
/// mistyped filter would list every item.
pub(crate) fn read_parameters(
    request: &HttpRequest,
    mut read: impl FnMut(&str, &str) -> Option<Result<(), Fault>>,
) -> Result<(), Failure> {
    let mut faults = Faults::default();
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        match read(&name, &value) {
            Some(Ok(())) => {}
            Some(Err(fault)) => faults.add(|| fault.given(&Given::of(&value))),
            None => faults.add(|| unknown_parameter(name.into_owned())),
        }
    }
    faults.check()
}

/// Sets a filter to the parsed value of the parameter `name`. One that is given several times must have one value: each
/// value would find other customers.
pub(crate) fn set_filter<T: PartialEq, E: Rule>(
    name: &'static str,
    filter: &mut Option<T>,
    parsed: Result<T, E>,
) -> Result<(), Fault> {
    let value = parsed.map_err(|rule| Fault::new(Place::Parameter(name), &rule))?;
    set_once(name, filter, value)
}

/// Sets a filter to the key of the address in the parameter `email`.
pub(crate) fn set_email(filter: &mut Option<String>, address: &str) -> Result<(), Fault> {
    set_filter("email", filter, Email::parse(address).map(|email| email.key().to_owned()))
}

/// The same as [`set_filter`] for a value that is parsed already.
pub(crate) fn set_once<T: PartialEq>(name: &'static str, filter: &mut Option<T>, value: T) -> Result<(), Fault> {
    match filter {
        Some(earlier) if *earlier != value => Err(fault(name, "must not be given twice with different values")),
        _ => {
            *filter = Some(value);
            Ok(())
        }
    }
}

/// The fault of a parameter with a value that it cannot have.
pub(crate) fn fault(name: &'static str, detail: &str) -> Fault {
    Fault { place: Place::Parameter(name), code: "invalid_parameter", detail: detail.to_owned() }
}

/// The fault of a parameter that a query does not have.
pub(crate) fn unknown_parameter(name: String) -> Fault {
    let detail = "is not a parameter of this request: leave it out".to_owned();
    Fault { place: Place::UnknownParameter(name), code: "unknown_parameter", detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use roster_domain::Name;

    fn read(query: &str) -> Result<(usize, Option<String>), Vec<String>> {
        match PageQuery::read(&request(query)) {
            Ok(page) => Ok((page.size.get(), page.cursor)),
            Err(Failure::Invalid(faults)) => Err(faults.listed().iter().map(|fault| fault.place.to_string()).collect()),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn request(query: &str) -> HttpRequest {
        TestRequest::with_uri(&format!("/v1/customers?{query}")).to_http_request()
    }

    #[test]
    fn a_page_has_25_items_unless_1_to_100_are_asked_for() {
        assert_eq!(read(""), Ok((25, None)));
        assert_eq!(read("limit=1"), Ok((1, None)));
        assert_eq!(read("limit=100&cursor=x"), Ok((100, Some("x".to_owned()))));
        for limit in ["0", "101", "-1", "x", "", "1e2", "99999999999999999999"] {
            assert_eq!(read(&format!("limit={limit}")), Err(vec!["limit".to_owned()]), "{limit}");
        }
    }

    #[test]
    fn the_link_to_the_next_page_keeps_all_but_the_place() {
        let link = |query| link_to_next(&request(query), "next");
        assert_eq!(link(""), "</v1/customers?cursor=next>; rel=\"next\"");
        assert_eq!(
            link("limit=2&offset=5&metadata%5Ba%5D=%C3%BC+x&cursor=last&status=active"),
            "</v1/customers?limit=2&metadata%5Ba%5D=%C3%BC+x&status=active&cursor=next>; rel=\"next\""
        );
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert_eq!(read("limt=5&a"), Err(vec!["limt".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn a_filter_has_one_value_and_follows_its_rules() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/v1/customers?{query}")).to_http_request();
            let mut filter = None;
            let read = read_parameters(&request, |name, value| match name {
                "name" | "called" => Some(set_filter("name", &mut filter, Name::parse(value))),
                "other" => Some(Ok(())),
                _ => None,
            });
            match read {
                Ok(()) => Ok(filter.map(|name| name.as_str().to_owned())),
                Err(Failure::Invalid(faults)) => {
                    Err(faults.listed().iter().map(|fault| (fault.place.to_string(), fault.code)).collect::<Vec<_>>())
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        let name = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(read("other=1&other"), Ok(None));
        assert_eq!(read("name=x%2Fy+z%C3%BC&other="), name("x/y zü"));
        assert_eq!(read("name=x&called=x"), name("x"));
        assert_eq!(read("name=x&called=y"), Err(vec![("name".to_owned(), "invalid_parameter")]));
        assert_eq!(read("name=%00").map_err(|faults| faults.len()), Err(1));
        assert_eq!(read("Name=x"), Err(vec![("Name".to_owned(), "unknown_parameter")]));
    }
}
