//! The kinds of problems that the native surface and that of operators answer (RFC 9457): each `code`, what it means and what to
//! do about it, and the pages that the `type` of a problem leads to.
//!
//! This is the only list of them. An error response is made of one of these kinds ([`answer`]), and the OpenAPI documents
//! ([`refusals`]) and the pages are written from the list.

pub(crate) mod answer;
pub(crate) mod refusals;

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

/// Where the pages are. It is below the base of the surface, because a proxy may forward nothing else.
pub(crate) const PATH: &str = "/v1/problems";

/// A kind of problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Its name, for programs.
    pub(crate) code: &'static str,
    /// The status of its responses.
    pub(crate) status: StatusCode,
    /// What has happened.
    pub(crate) meaning: &'static str,
    /// What its reader can do.
    pub(crate) remedy: &'static str,
}

macro_rules! kinds {
    ($($name:ident: $code:literal, $status:ident, $meaning:literal, $remedy:literal;)+) => {
        $(
            pub(crate) const $name: Kind =
                Kind { code: $code, status: StatusCode::$status, meaning: $meaning, remedy: $remedy };
        )+

        /// All of them, by their codes.
        pub(crate) const ALL: &[Kind] = &[$($name),+];
    };
}

kinds! {
    BATCH_UNDONE: "batch_undone", FAILED_DEPENDENCY,
        "The item belongs to an atomic batch of which another item failed. Nothing of the batch was done.",
        "Correct the items whose results have another code, and send the whole batch again.";
    BODY_INCOMPLETE: "body_incomplete", REQUEST_TIMEOUT,
        "The body did not arrive in time, or not to its end. Nothing was done.",
        "Send the request again. If it happens often, look for a slow or lossy network between the caller and the service.";
    BODY_TOO_LARGE: "body_too_large", PAYLOAD_TOO_LARGE,
        "The body has more bytes than one request may have.",
        "Send less in one request. Metadata has a lower limit of its own.";
    CUSTOMER_NOT_FOUND: "customer_not_found", NOT_FOUND,
        "No live customer of the credential's merchant and environment has the identifier in the path. One that was \
         deleted, and one of another merchant or environment, is answered in the same way.",
        "Compare the identifier with the list of customers, and check that the key is for the right environment: \
         sk_live_ keys see live customers only, sk_test_ keys sandbox customers only.";
    DATABASE_READ_ONLY: "database_read_only", SERVICE_UNAVAILABLE,
        "The database takes no writes at present. Reads are answered. Nothing was done.",
        "Send the request again after the seconds that Retry-After names.";
    DATABASE_UNAVAILABLE: "database_unavailable", SERVICE_UNAVAILABLE,
        "The database did not answer in time. A write may have happened.",
        "Send the request again after the seconds that Retry-After names. Repeating a request is safe with its \
         Idempotency-Key, and a creation with an external_id: if the first attempt succeeded, the answer is 409 with the \
         identifier of the customer.";
    DUPLICATE_KEY: "duplicate_key", BAD_REQUEST,
        "The body has a key twice in one object, so that it is not clear which value is meant. The detail names the place.",
        "Send each key once.";
    EMAIL_TAKEN: "email_taken", CONFLICT,
        "Another live customer of the merchant has this e-mail address; customer_id names it. Two addresses are the same if \
         they differ in case, in Unicode composition or in the spelling of an international domain only.",
        "Use the customer that customer_id names, or send \"allow_duplicate_email\": true, for which the key needs the \
         scope customers:allow_duplicate_email.";
    EVENT_NOT_FOUND: "event_not_found", NOT_FOUND,
        "No event of the credential's merchant and environment has the identifier in the path.",
        "Take the identifier from the list of events. Events of the live environment are seen by live credentials only.";
    EVENTS_PRUNED: "events_pruned", GONE,
        "Events behind the cursor are no longer kept: an operator has set events.retention_days. floor is the seq of the last \
         event that is gone. A consumer that went on behind it would never learn of what is gone.",
        "Begin anew: read the list of events without a cursor, which begins with the first event that is kept, and then the \
         list of customers, which has what the missing events led to.";
    EXTERNAL_ID_TAKEN: "external_id_taken", CONFLICT,
        "Another live customer of the merchant has this external_id; customer_id names it. It may be the customer that an \
         earlier attempt of the same request has created.",
        "Use the customer that customer_id names, or send another external_id.";
    FILE_TOO_LARGE: "file_too_large", PAYLOAD_TOO_LARGE,
        "The file has more bytes than imports.max_mib of the service's configuration allows. Nothing was imported.",
        "Send it in parts, each with its own header line, or import it with roster import.";
    FILE_TOO_SLOW: "file_too_slow", REQUEST_TIMEOUT,
        "The file took longer to arrive than imports.timeout_s of the service's configuration allows. Nothing was imported.",
        "Send it in parts, each with its own header line, or over a faster network, or import it with roster import.";
    HEAD_TOO_LARGE: "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The request line and the headers together have more bytes than this service allows.",
        "Send fewer or shorter headers, and a shorter query. An operator can raise http.max_head_kib.";
    IDEMPOTENCY_CREDENTIAL_CHANGED: "idempotency_credential_changed", CONFLICT,
        "The first request with this Idempotency-Key created an API key and came with another credential. The created key is \
         stored nowhere, and can only be shown again to that credential. Nothing was done.",
        "Repeat the request with the credential of the first, or rotate or revoke the created key.";
    IDEMPOTENCY_KEY_REUSED: "idempotency_key_reused", CONFLICT,
        "Another request of the merchant in this environment has had this Idempotency-Key: with another method, path or \
         body. Nothing was done.",
        "Take a new key for a new request. Only a repeat of the same request has the same key.";
    IMPORT_ENDED: "import_ended", CONFLICT,
        "The import was ended, or another took its place, while its file was being sent. Nothing was imported.",
        "Send the file again.";
    IMPORT_HAS_OTHER_OPTIONS: "import_has_other_options", CONFLICT,
        "An import of the same file has not come to its end, and has other options: its rows would be treated in two ways. Nothing was \
         done.",
        "Send the same options again, which goes on with that import, or again=true, which begins anew.";
    IMPORT_NOT_FOUND: "import_not_found", NOT_FOUND,
        "No import of the credential's merchant and environment has the identifier in the path.",
        "The last 100 imports are remembered. Those of the live environment are seen by live credentials only.";
    IMPORT_RUNNING: "import_running", CONFLICT,
        "Another import of the merchant in this environment has not ended: there is one at a time. Nothing was done.",
        "Wait until it has ended, or end it by DELETE.";
    INTERNAL: "internal", INTERNAL_SERVER_ERROR,
        "This is a fault of the service, not of the request. A write may have happened.",
        "Report it to the operator of the service with the X-Request-Id of the response, by which its log has the cause.";
    INVALID_CURSOR: "invalid_cursor", BAD_REQUEST,
        "The cursor was changed, or belongs to another list: of another merchant or environment, with other filters, or in \
         another order.",
        "Send the next_cursor of a page as it is, with the filters and the order of that page, or leave the cursor out to \
         begin with the first page.";
    INVALID_IDEMPOTENCY_KEY: "invalid_idempotency_key", BAD_REQUEST,
        "The header Idempotency-Key breaks a rule, which the detail names. Nothing was done.",
        "Send it once, with 1 to 255 printable ASCII characters: a UUID, for example.";
    INVALID_JSON: "invalid_json", BAD_REQUEST,
        "The body is not JSON that this service reads: not JSON, or nested too deep. The detail names the place.",
        "Correct the body at the place that the detail names. Let a library write it.";
    INVALID_REQUEST: "invalid_request", UNPROCESSABLE_ENTITY,
        "The request breaks the rules that errors lists, each with its place: pointer for a field of the body, parameter for \
         one of the path or the query. Nothing was done. At most 50 are listed; errors_total counts them if there are more.",
        "Correct each place as its detail says: it has the value that was given and what is allowed.";
    KEY_ENDED: "key_ended", CONFLICT,
        "The API key is revoked or has expired, and cannot be rotated.",
        "Create a new key instead.";
    KEY_HAS_SUCCESSOR: "key_has_successor", CONFLICT,
        "The API key was rotated before; successor_id names the key in its place. A key is rotated once.",
        "Rotate the key that successor_id names, also if the response with its secret was lost.";
    KEY_NOT_FOUND: "key_not_found", NOT_FOUND,
        "No API key of the merchant has the identifier in the path. A credential of the merchant itself finds those of its own \
         environment only.",
        "Compare it with the list of keys. Keys of the live environment are managed by live credentials and by operators only.";
    MALFORMED_HEADER: "malformed_header", BAD_REQUEST,
        "The header that error.param names cannot be read. Nothing was done.",
        "Send * or a list of entity tags, each in quotes as the header ETag of an answer has it; as X-Change-Reason, 1 to 256 \
         printable characters in UTF-8.";
    MERCHANT_DISABLED: "merchant_disabled", FORBIDDEN,
        "The credential is valid, but its merchant is disabled. Nothing was done.",
        "Ask the operators of the service to enable the merchant. Credentials need not be changed for that.";
    MERCHANT_NOT_FOUND: "merchant_not_found", NOT_FOUND,
        "No merchant has the identifier in the path.",
        "Compare it with the list of merchants.";
    METHOD_NOT_ALLOWED: "method_not_allowed", METHOD_NOT_ALLOWED,
        "The path exists, but not with this method.",
        "Use one of the methods that Allow and the detail name.";
    MISSING_ROLE: "missing_role", FORBIDDEN,
        "The operator may look, and change nothing: it has the role read, and this needs the role admin. Nothing was done.",
        "Use the key of an operator with the role admin. Operators are created by roster operators create.";
    MISSING_SCOPE: "missing_scope", FORBIDDEN,
        "The credential is valid, but lacks the scope that this needs; scope names it.",
        "Use a credential with that scope. Keys are created with scopes by POST /v1/api_keys.";
    NO_MEMORY: "no_memory", SERVICE_UNAVAILABLE,
        "Requests that are being received take all the memory that they may take. Nothing was done.",
        "Send the request again after the seconds that Retry-After names. An operator can raise http.request_memory_mib.";
    OTHER_PROTOCOL: "other_protocol", BAD_REQUEST,
        "The request is for another protocol: CONNECT, or Upgrade: websocket.",
        "Use plain HTTP requests. This service is no proxy.";
    OUTLIVES_CREDENTIAL: "outlives_credential", FORBIDDEN,
        "The new API key would be valid for longer than the credential that asks for it.",
        "Send an expires_at that is not later than the end of the credential, which the detail names.";
    OVERLOADED: "overloaded", SERVICE_UNAVAILABLE,
        "Too many requests wait for the database. This one was not started.",
        "Send the request again after the seconds that Retry-After names, and fewer at a time.";
    PRECONDITION_FAILED: "precondition_failed", PRECONDITION_FAILED,
        "The request is to be done only if something is stored, and nothing is. Nothing was done.",
        "Leave If-Match out to create it, or compare the identifier with the list.";
    RATE_LIMITED: "rate_limited", TOO_MANY_REQUESTS,
        "The API key or the merchant has sent more requests in this second than it may. Nothing was done.",
        "Send the request again after the seconds that Retry-After names. The headers RateLimit and RateLimit-Policy say \
         what is left.";
    TOO_MANY_REPLAYS: "too_many_replays", CONFLICT,
        "As many single events as may wait to be sent again to the webhook endpoint. Nothing was done.",
        "Wait until they are delivered, or send from_seq, which sends all events again from a place of the log on.";
    TOO_MANY_WEBHOOKS: "too_many_webhooks", CONFLICT,
        "The merchant has as many webhook endpoints in this environment as it may have. Nothing was done.",
        "Delete one that is not needed, or let one endpoint take more types of events.";
    UNAUTHORIZED: "unauthorized", UNAUTHORIZED,
        "The credential is missing, malformed, unknown, revoked or expired.",
        "Send a valid API key or token: Authorization: Bearer …";
    UNKNOWN_PATH: "unknown_path", NOT_FOUND,
        "There is nothing at this path.",
        "Compare the path with /v1/openapi.json or /docs. A path has no slash at its end, and / in an identifier is \
         written %2F.";
    UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE,
        "The body is declared as something other than JSON.",
        "Send Content-Type: application/json, or application/merge-patch+json to PATCH.";
    VERSION_MISMATCH: "version_mismatch", PRECONDITION_FAILED,
        "What is stored has another version than the request asks for by If-Match or If-None-Match: it was changed \
         meanwhile. current_version and the header ETag name it. Nothing was done.",
        "Read it again, decide anew, and repeat the change with the ETag of that answer if it is still wanted.";
    WEBHOOK_NOT_FOUND: "webhook_not_found", NOT_FOUND,
        "No webhook endpoint of the credential's merchant and environment has the identifier in the path.",
        "Compare it with the list of webhooks. Those of the live environment are managed by live credentials only.";
}

impl Kind {
    /// The reference that identifies it, which is the path of its page. It is relative to the origin of the service (RFC
    /// 9457 §3.1.1), so that it resolves under every scheme and host name by which a proxy offers the service.
    pub(crate) fn uri(&self) -> String {
        format!("{PATH}/{}", self.code)
    }

    /// The kind with this code.
    pub(crate) fn find(code: &str) -> Option<&'static Self> {
        ALL.iter().find(|kind| kind.code == code)
    }
}

/// The page with all kinds.
pub(crate) fn list() -> HttpResponse {
    let mut body =
        String::from("<h1>Problems</h1>\n<p>The codes of the native API, and what to do about each.</p>\n<dl>\n");
    for kind in ALL {
        let Kind { code, status, meaning, .. } = kind;
        let (uri, status, meaning) = (kind.uri(), status.as_u16(), escaped(meaning));
        // Writing to a string cannot fail.
        let _ = writeln!(body, "<dt><a href=\"{uri}\"><code>{code}</code></a> ({status})</dt>\n<dd>{meaning}</dd>");
    }
    body.push_str("</dl>\n");
    html("Problems", &body)
}

/// The page of the kind with this code.
pub(crate) fn page(code: &str) -> Option<HttpResponse> {
    let Kind { code, status, meaning, remedy } = Kind::find(code)?;
    let (meaning, remedy) = (escaped(meaning), escaped(remedy));
    let body = format!(
        "<h1><code>{code}</code></h1>\n<p>Status {status}</p>\n<h2>What it means</h2>\n<p>{meaning}</p>\n\
         <h2>What to do</h2>\n<p>{remedy}</p>\n<p><a href=\"{PATH}\">All codes</a></p>\n"
    );
    Some(html(code, &body))
}

fn html(title: &str, body: &str) -> HttpResponse {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Roster</title>\n{body}</html>\n"
    );
    HttpResponse::build(StatusCode::OK).insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(page)
}

/// The texts are ours, but have characters that HTML gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_in_the_list_once_and_in_order() {
        assert!(ALL.is_sorted_by(|one, next| one.code < next.code));
        assert!(ALL.iter().all(|kind| kind.code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())));
    }
}
