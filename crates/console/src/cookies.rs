//! Reading and setting cookies.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use crate::BASE;

/// The cookie of that name; the first, if there are several.
pub(crate) fn read<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let lists = request.headers().get_all(header::COOKIE).filter_map(|list| list.to_str().ok());
    let mut cookies = lists.flat_map(|list| list.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(of, _)| *of == name).map(|(_, value)| value)
}

/// Sets a cookie for the pages of the console, out of reach of scripts and of other sites. `seconds` 0: the browser forgets it.
pub(crate) fn set(response: &mut HttpResponse, name: &str, value: &str, seconds: i64, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path={BASE}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = header::HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
