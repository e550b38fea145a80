//! The page on which a reader tries the APIs: Swagger UI with the documents of all surfaces, from files in the program.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use utoipa_swagger_ui::Config;

use crate::failure::Failure;
use crate::request::{auth, path};
use crate::routing::{Surface, get};
use crate::surfaces::native;

/// Whether an app serves the page.
pub(crate) struct ApiPage {
    pub(crate) is_served: bool,
    /// Whether the surface of operators is at the same address.
    pub(crate) offers_operators: bool,
}

/// The page itself. It names the other files below its own path, whatever a proxy has put before that.
const INDEX: &str = include_str!("api_page/index.html");

/// What starts Swagger UI. It is a file of its own, because the policy allows no script in the page.
const START: &str = include_str!("api_page/start.js");

/// The last document that the page offers to everyone, as [`START`] has it, and that for operators, which follows it if it is served.
const LAST_URL: &str = "    { name: \"Lava\", url: \"lava/v1/openapi.json\" },\n";
const URL_OF_OPERATORS: &str = "    { name: \"Operators\", url: \"admin/v1/openapi.json\" },\n";

/// The files of Swagger UI that the page needs, with their types.
const ASSETS: [(&str, &str); 4] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-standalone-preset.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// What the page may load and call: files and APIs of this service, and nothing else. Swagger UI draws its icons from
/// `data:` URLs and sets styles in elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds `/docs` and its files.
pub(crate) fn below(surface: Surface) -> Surface {
    surface.resource("/docs", vec![get(index)]).resource("/docs/{file}", vec![get(file)])
}

async fn index(request: HttpRequest) -> Result<HttpResponse, native::Error> {
    require(&request)?;
    let policy = HeaderValue::from_static(POLICY);
    Ok(of_kind("text/html; charset=utf-8").insert_header((header::CONTENT_SECURITY_POLICY, policy)).body(INDEX))
}

async fn file(request: HttpRequest) -> Result<HttpResponse, native::Error> {
    require(&request)?;
    let name = path::segment(&request, "file").ok_or(Failure::UnknownPath)?;
    if name == "start.js" {
        let is_offered = offers_operators(&request).await?;
        let urls = if is_offered {
            START.replacen(LAST_URL, &format!("{LAST_URL}{URL_OF_OPERATORS}"), 1)
        } else {
            START.to_owned()
        };
        return Ok(of_kind("text/javascript; charset=utf-8").body(urls));
    }
    let (name, kind) = ASSETS.into_iter().find(|(known, _)| *known == name).ok_or(Failure::UnknownPath)?;
    let found = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).map_err(|_| Failure::Internal)?;
    let bytes = found.ok_or(Failure::Internal)?.bytes;
    // They are compressed in the program. Every browser reads that.
    Ok(of_kind(kind).insert_header((header::CONTENT_ENCODING, "gzip")).body(bytes.into_owned()))
}

/// Whether the document for operators is served at the address of the page: there is an operator, and no address of theirs.
async fn offers_operators(request: &HttpRequest) -> Result<bool, Failure> {
    let is_here = request.app_data::<ApiPage>().is_some_and(|page| page.offers_operators);
    Ok(is_here && auth::handle(request)?.has_operators().await??)
}

fn require(request: &HttpRequest) -> Result<(), Failure> {
    let is_served = request.app_data::<ApiPage>().is_some_and(|page| page.is_served);
    if is_served { Ok(()) } else { Err(Failure::UnknownPath) }
}

fn of_kind(content_type: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, content_type));
    response
}
