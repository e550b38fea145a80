//! The response headers that documents describe.

use serde_json::{Map, Value, json};

use crate::middleware::access_log::MAX_REQUEST_ID_BYTES;
use crate::request::consistency::POSITION;
use crate::request::idempotency::REPLAYED;

/// A header.
pub(super) struct Header {
    pub(super) name: &'static str,
    /// Whether every response that may have it has it.
    is_required: bool,
    description: &'static str,
    schema: fn() -> Value,
}

/// The header that every response has.
const REQUEST_ID: &str = "X-Request-Id";

/// All of them.
pub(super) const ALL: [Header; 14] = [
    Header {
        name: "WWW-Authenticate",
        is_required: true,
        description: "The kind of credential that is wanted, and the scope that is lacking, if it is one (RFC 6750).",
        schema: || {
            json!({
                "type": "string",
                "pattern": "^Bearer",
                "examples": ["Bearer", "Bearer error=\"insufficient_scope\", scope=\"customers:write\""],
            })
        },
    },
    Header {
        name: "Retry-After",
        is_required: true,
        description: "After how many seconds the request may be repeated.",
        schema: || json!({ "type": "integer", "minimum": 1 }),
    },
    Header {
        name: "Allow",
        is_required: true,
        description: "The methods of the path.",
        schema: || json!({ "type": "string", "examples": ["GET, POST"] }),
    },
    Header {
        name: "Location",
        is_required: true,
        description: "The path of the new customer.",
        schema: || {
            let example = "/v1/customers/cus_01h2xcejqtf2nbrexx3vqjhp41";
            json!({ "type": "string", "format": "uri-reference", "examples": [example] })
        },
    },
    Header {
        name: "ETag",
        is_required: false,
        description: "The strong entity tag of what is stored, for `If-Match` and `If-None-Match`. Every change makes \
                      another one.",
        schema: || {
            let example = "\"01h2xcejqtf2nbrexx3vqjhp41-3\"";
            json!({ "type": "string", "pattern": "^\"[!#-~]+\"$", "examples": [example] })
        },
    },
    Header {
        name: REPLAYED,
        is_required: false,
        description: "The answer was saved for an earlier request with the same `Idempotency-Key`, of which this one is a \
                      repeat.",
        schema: || json!({ "type": "string", "const": "true" }),
    },
    Header {
        name: POSITION,
        is_required: false,
        description: "A position that includes what the answer shows, if the service has a replica: sent with a later read, it lets \
                      the replica answer, and no answer is older. It is opaque, and belongs to the merchant and the environment. \
                      Reads have it if they were sent with `Roster-Position` or `Roster-Consistency: eventual`.",
        schema: || json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
    },
    Header {
        name: "Link",
        is_required: false,
        description: "Where the list goes on: a relative reference to the next page, with `rel=\"next\"` (RFC 8288). The \
                      last page has none.",
        schema: || {
            let example = "</v1/customers?limit=25&cursor=AQAAAZ>; rel=\"next\"";
            json!({ "type": "string", "examples": [example] })
        },
    },
    Header {
        name: "X-Feed-Cursor",
        is_required: false,
        description: "With `follow=true`: the cursor of `GET /v1/events` behind the last event that the export includes.",
        schema: || json!({ "type": "string" }),
    },
    Header {
        name: "RateLimit",
        is_required: false,
        description: "What is left of each limit (draft-ietf-httpapi-ratelimit-headers). Every response to a valid \
                      credential has it.",
        schema: || json!({ "type": "string", "examples": ["\"key\";r=4999;t=1, \"merchant\";r=9999;t=1"] }),
    },
    Header {
        name: "RateLimit-Policy",
        is_required: false,
        description: "The limits: requests in a window of a second. Every response to a valid credential has it.",
        schema: || json!({ "type": "string", "examples": ["\"key\";q=5000;w=1, \"merchant\";q=10000;w=1"] }),
    },
    Header {
        name: "X-RateLimit-Limit",
        is_required: false,
        description: "The limit that is reached, in requests per second.",
        schema: || json!({ "type": "integer", "minimum": 1 }),
    },
    Header {
        name: "X-RateLimit-Remaining",
        is_required: false,
        description: "What is left of it.",
        schema: || json!({ "type": "integer", "const": 0 }),
    },
    Header {
        name: "X-RateLimit-Reset",
        is_required: false,
        description: "When all of it is available again, in Unix seconds.",
        schema: || json!({ "type": "integer", "minimum": 1 }),
    },
];

/// The headers of a response with these and `X-Request-Id`.
pub(super) fn references(names: &[&'static str]) -> Map<String, Value> {
    names.iter().copied().chain([REQUEST_ID]).map(|name| (name.to_owned(), reference(name))).collect()
}

/// A reference to one header.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The part of a document that describes those headers that the rest of it, `text`, refers to.
pub(super) fn components(text: &str) -> Value {
    let is_used = |header: &&Header| text.contains(&format!("\"#/components/headers/{}\"", header.name));
    let describe = |header: &Header| {
        let Header { name, is_required, description, schema } = header;
        let mut json = json!({ "description": description });
        if *is_required {
            json["required"] = json!(true);
        }
        json["schema"] = schema();
        ((*name).to_owned(), json)
    };
    let request_id = json!({
        "description": "Identifies the request in the service's log.",
        "required": true,
        "schema": { "type": "string", "minLength": 1, "maxLength": MAX_REQUEST_ID_BYTES, "pattern": "^[!-~]+$" },
    });
    let described = ALL.iter().filter(is_used).map(describe).chain([(REQUEST_ID.to_owned(), request_id)]);
    described.collect::<Map<_, _>>().into()
}
