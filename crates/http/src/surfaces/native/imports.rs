//! Imports: files of customers that the service reads beside its requests.

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use roster_application::{Import, ImportCounts, OnConflict, Upload, UploadState};
use roster_domain::{ImportId, Timestamp, UploadId};
use roster_transfer::{Format, ImportOptions, Mapping, Unknown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::failure::{Failure, Fault};
use crate::imports::ImportSettings;
use crate::openapi::schema::Shown;
use crate::paging::shown;
use crate::request::body::File;
use crate::request::caller::{Caller, WriteImports};
use crate::request::query::PageQuery;
use crate::request::{path, query};
use crate::respond::json;

/// The most errors that are shown with an import.
pub(super) const SHOWN_ERRORS: usize = 20;

/// An import.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Import")]
pub(super) struct ImportView {
    id: Shown<UploadId>,
    /// `receiving`: its file is being sent. `running`: its rows are being imported, or are about to be. `finished`: all rows were
    /// read. `failed`: `failure` says why. `cancelled`: by `DELETE`. What was imported before stays.
    #[schemars(extend("enum" = UploadState::ALL.map(UploadState::as_str)))]
    state: &'static str,
    /// What the events of its customers have as `request_id`.
    import_id: Option<Shown<ImportId>>,
    /// The SHA-256 of the file, in hexadecimal digits.
    sha256: Option<String>,
    /// The bytes of the file that have come.
    bytes: u64,
    /// The rows that were read, also by earlier imports of the same file that were ended.
    rows: u64,
    /// Rows that made a customer.
    created: u64,
    /// Rows that changed one.
    updated: u64,
    /// Rows whose customer was as they say.
    unchanged: u64,
    /// Rows that were left out, because a customer has their identifiers.
    skipped: u64,
    /// Rows that were refused.
    failed: u64,
    /// Why it has failed.
    failure: Option<String>,
    created_at: Shown<Timestamp>,
    updated_at: Shown<Timestamp>,
    ended_at: Option<Shown<Timestamp>>,
}

/// An import with its first errors.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ImportWithErrors")]
pub(super) struct ImportWithErrorsView {
    #[serde(flatten)]
    about: ImportView,
    /// The first errors. `GET /imports/{id}/errors` has all.
    errors: Vec<RowErrorView>,
}

/// A rule that a row of a file breaks, and what to do about it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RowError")]
pub(super) struct RowErrorView {
    /// The number of the row, from 1, without the header.
    row: u64,
    /// The line where it begins, from 1.
    line: u64,
    column: Option<String>,
    code: String,
    rule: String,
    remedy: String,
}

impl ImportView {
    fn of(upload: &Upload, import: Option<&Import>) -> Self {
        let counts = import.map_or(ImportCounts::default(), |import| import.counts);
        let ImportCounts { rows, created, updated, unchanged, skipped, failed, faults: _ } = counts;
        Self {
            id: Shown(upload.id),
            state: upload.state.as_str(),
            import_id: upload.import.map(Shown),
            sha256: upload.digest.map(|digest| format!("{digest:x}")),
            bytes: upload.size,
            rows,
            created,
            updated,
            unchanged,
            skipped,
            failed,
            failure: upload.failure.clone(),
            created_at: Shown(upload.created_at),
            updated_at: Shown(upload.updated_at),
            ended_at: upload.ended_at.map(Shown),
        }
    }
}

impl ImportWithErrorsView {
    fn of(upload: &Upload, import: Option<&Import>, errors: &[u8]) -> Self {
        let lines = errors.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let errors = lines.take(SHOWN_ERRORS).filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Self { about: ImportView::of(upload, import), errors }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteImports>::of(&request).await?;
    let page = caller.list_imports(PageQuery::read(&request)?).await?;
    Ok(shown(&request, &page, |(upload, import)| ImportView::of(upload, import.as_ref())))
}

pub(super) async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let file = File::of(&request);
    let caller = Caller::<WriteImports>::of(&request).await?;
    let (options, anew) = read_options(&request)?;
    let settings = ImportSettings::of(&request)?;
    let (upload, import) = caller.import_file(file, &options, anew, settings).await?;
    (settings.begun)(upload.tenant, upload.id);
    let mut response = json(StatusCode::ACCEPTED, &ImportWithErrorsView::of(&upload, import.as_ref(), &[]));
    if let Ok(location) = header::HeaderValue::try_from(format!("{}/imports/{}", super::BASE, upload.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteImports>::of(&request).await?;
    let (upload, import, errors) = caller.find_import(import_id(&request)?).await?;
    Ok(json(StatusCode::OK, &ImportWithErrorsView::of(&upload, import.as_ref(), &errors)))
}

pub(super) async fn list_errors(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteImports>::of(&request).await?;
    let id = import_id(&request)?;
    // Refused before the status is sent.
    let (Upload { error_parts, .. }, ..) = caller.find_import(id).await?;
    let parts = stream::try_unfold((caller, 0), move |(caller, number)| async move {
        if number > 0 {
            caller.check_again().await?;
        }
        let part = if number < error_parts { caller.import_errors(id, number).await? } else { None };
        Ok::<_, Error>(part.map(|part| (Bytes::from(part), (caller, number + 1))))
    });
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/x-ndjson")).streaming(parts))
}

pub(super) async fn cancel(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteImports>::of(&request).await?;
    caller.cancel_import(import_id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn import_id(request: &HttpRequest) -> Result<UploadId, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::ImportNotFound)?;
    UploadId::parse(&id).map_err(|_| Failure::ImportNotFound)
}

/// Reads how the rows of a file are treated, and whether it is imported although it was imported before.
pub(super) fn read_options(request: &HttpRequest) -> Result<(ImportOptions, bool), Failure> {
    let (mut from, mut format, mut unknown, mut on_conflict) = (None, None, None, None);
    let (mut shares, mut max_errors, mut again) = (None, None, None);
    query::read_parameters(request, |name, value| {
        Some(match name {
            "from" => {
                let name = Mapping::names().find(|known| *known == value);
                one("from", &mut from, name, &Mapping::names().collect::<Vec<_>>().join(", "))
            }
            "format" => {
                one("format", &mut format, Format::ALL.into_iter().find(|one| one.as_str() == value), "csv or ndjson")
            }
            "unknown" => {
                let found = Unknown::ALL.into_iter().find(|one| one.as_str() == value);
                one("unknown", &mut unknown, found, "refuse, metadata or ignore")
            }
            "on_conflict" => one("on_conflict", &mut on_conflict, OnConflict::named(value), "fail, skip or update"),
            "allow_duplicate_emails" => one("allow_duplicate_emails", &mut shares, flag(value), "true or false"),
            "again" => one("again", &mut again, flag(value), "true or false"),
            "max_errors" => {
                let number = value.parse().ok().filter(|number| *number <= MAX_ERRORS);
                one("max_errors", &mut max_errors, number, "a whole number from 0 to 10000")
            }
            _ => return None,
        })
    })?;
    let options = ImportOptions {
        from: from.unwrap_or("roster").to_owned(),
        format,
        unknown: unknown.unwrap_or_default(),
        on_conflict: on_conflict.unwrap_or_default(),
        allow_duplicate_emails: shares.unwrap_or(false),
        max_errors: max_errors.unwrap_or(ImportOptions::DEFAULT_MAX_ERRORS),
    };
    Ok((options, again.unwrap_or(false)))
}

/// The most errors that an import may be allowed: all of them are stored.
pub(super) const MAX_ERRORS: u64 = 10_000;

fn flag(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn one<T: PartialEq>(name: &'static str, place: &mut Option<T>, value: Option<T>, known: &str) -> Result<(), Fault> {
    match value {
        Some(value) => query::set_once(name, place, value),
        None => Err(query::fault(name, &format!("must be {known}"))),
    }
}
