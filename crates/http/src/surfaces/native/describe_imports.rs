//! What the OpenAPI document says of imports.

use actix_web::http::StatusCode;
use roster_application::{MAX_UPLOADS, OnConflict};
use roster_domain::UploadId;
use roster_transfer::{Format, ImportOptions, Mapping, Unknown};
use serde_json::json;

use super::describe::IMPORTS;
use super::imports::{ImportView, ImportWithErrorsView, MAX_ERRORS};
use crate::openapi::operation::{Answer, Operation, Parameter};
use crate::openapi::schema::Of;
use crate::paging::{cursor, page_of};
use crate::request::caller::WriteImports;

pub(super) fn create_import() -> Operation {
    let names = |names: Vec<&'static str>, usual: &str| json!({ "type": "string", "enum": names, "default": usual });
    let flag = || json!({ "type": "boolean", "default": false });
    let max_errors = json!({
        "type": "integer", "minimum": 0, "maximum": MAX_ERRORS, "default": ImportOptions::DEFAULT_MAX_ERRORS,
    });
    Operation::new("createImport", IMPORTS, "Import customers")
        .needs::<WriteImports>()
        .about(
            "The body is a file in CSV or NDJSON, in UTF-8, whatever its `Content-Type`. It is kept, and its rows become customers \
             after the answer, beside other requests and slower than them, one file of the merchant in the environment at a time. \
             Rows that break a rule are refused, and the others imported. A file is known by its bytes: one that was imported to \
             its end changes nothing again, and the import of one that was ended goes on behind the rows that were done. So a \
             request is safe to repeat without an `Idempotency-Key`, which changes nothing here. The credential is checked again while \
             the file comes: one that ends meanwhile imports nothing.",
        )
        .parameter(Parameter::query_of(
            "from",
            "Where the file comes from: which columns are which fields.",
            names(Mapping::names().collect(), "roster"),
        ))
        .parameter(Parameter::query_of(
            "format",
            "The format. Left out: what the file begins with.",
            json!({ "type": "string", "enum": Format::ALL.map(Format::as_str) }),
        ))
        .parameter(Parameter::query_of(
            "unknown",
            "What becomes of columns that `from` does not name: the file is refused, or they become metadata, or are left out.",
            names(Unknown::ALL.map(Unknown::as_str).to_vec(), "refuse"),
        ))
        .parameter(Parameter::query_of(
            "on_conflict",
            "What becomes of a row whose external identifier or e-mail address a customer has: it is refused, or left out, or the \
             customer gets what the row has.",
            names(OnConflict::ALL.map(OnConflict::as_str).to_vec(), "fail"),
        ))
        .parameter(Parameter::query_of(
            "allow_duplicate_emails",
            "`true`: a row may share the e-mail address of another customer. It needs the scope `customers:allow_duplicate_email`.",
            flag(),
        ))
        .parameter(Parameter::query_of("max_errors", "With more rows refused the import ends.", max_errors))
        .parameter(Parameter::query_of("again", "`true`: the file is imported although it was imported before.", flag()))
        .takes_file(&["text/csv", "application/x-ndjson", "application/octet-stream"])
        .answers_with(
            Answer::new(StatusCode::ACCEPTED, "The file is there, and is being imported.")
                .json::<ImportWithErrorsView>()
                .header("Location"),
        )
        .refuses("ImportRefused")
        .refuses("FileTooLarge")
        .refuses("FileIncomplete")
        .refuses("InvalidIdempotencyKey")
}

pub(super) fn list_imports() -> Operation {
    Operation::new("listImports", IMPORTS, "List imports")
        .needs::<WriteImports>()
        .about(format!(
            "The imports of files that were sent to the service, the newest first, a page at a time, each with how far it has come. The \
             last {MAX_UPLOADS} are remembered. Unknown parameters are refused."
        ))
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<ImportView>("A page of imports."))
        .refuses("InvalidCursor")
}

pub(super) fn get_import() -> Operation {
    Operation::new("getImport", IMPORTS, "Get an import")
        .needs::<WriteImports>()
        .about(format!(
            "How far an import has come, and its first errors. The last {MAX_UPLOADS} imports are remembered."
        ))
        .parameter(id())
        .answers::<ImportWithErrorsView>(StatusCode::OK, "The import.")
        .refuses("ImportNotFound")
}

pub(super) fn list_import_errors() -> Operation {
    Operation::new("listImportErrors", IMPORTS, "List the errors of an import")
        .needs::<WriteImports>()
        .about("A rule that a row breaks in each line, as `errors` of the import shows it; of one that is running, those so far.")
        .parameter(id())
        .answers_with(Answer::new(StatusCode::OK, "All errors.").body("application/x-ndjson", json!({ "type": "string" })))
        .refuses("ImportNotFound")
}

pub(super) fn cancel_import() -> Operation {
    Operation::new("cancelImport", IMPORTS, "End an import")
        .needs::<WriteImports>()
        .about("The import reads no more rows. What it has imported stays. One that has ended is left as it is.")
        .parameter(id())
        .answers_with(Answer::new(StatusCode::NO_CONTENT, "It has ended."))
        .refuses("ImportNotFound")
}

fn id() -> Parameter {
    Parameter::path::<Of<UploadId>>("id", "The identifier of the import.")
}
