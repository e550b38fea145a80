//! The files that pages load: one style sheet, one script, one icon. Their paths change with their bytes, so browsers may keep them.

use std::rc::Rc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::BASE;
use crate::visit::Worker;

/// Each file with its media type.
const FILES: [(&str, &str, &[u8]); 3] = [
    (STYLE, "text/css; charset=utf-8", include_bytes!("../assets/console.css")),
    (SCRIPT, "text/javascript; charset=utf-8", include_bytes!("../assets/console.js")),
    (ICON, "image/svg+xml", include_bytes!("../assets/icon.svg")),
];

/// The name of the style sheet.
pub(crate) const STYLE: &str = "console.css";

/// The name of the script.
pub(crate) const SCRIPT: &str = "console.js";

/// The name of the icon.
pub(crate) const ICON: &str = "icon.svg";

/// The paths of the files.
pub(crate) struct Assets {
    version: String,
}

impl Assets {
    pub(crate) fn new() -> Self {
        let bytes = FILES.map(|(_, _, bytes)| bytes).concat();
        let version = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, &bytes).as_ref()[..9]);
        Self { version }
    }

    /// The path of a file.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{BASE}/assets/{}/{file}", self.version)
    }
}

/// A file. One of another version is not found: a page of another instance, in an update, must not keep the wrong file.
pub(crate) async fn show(worker: Rc<Worker>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let part = |name| request.match_info().get(name).unwrap_or_default();
    let file = FILES.into_iter().find(|(name, ..)| *name == part("file"));
    match file.filter(|_| part("version") == worker.console.0.assets.version) {
        Some((_, kind, bytes)) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(kind)))
            .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")))
            .body(bytes),
        None => HttpResponse::NotFound().finish(),
    }
}
