//! What the OpenAPI documents say of problems.

use actix_web::body::MessageBody as _;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::Kind;
use super::answer::Problem;
use crate::failure::{Answer, BodyFailure, Failure};
use crate::middleware::limits::Limit;
use crate::openapi::operation::Refusal;
use crate::openapi::schema::schema_of;
use crate::request::body::MAX_BYTES;

/// The refusals that all documents with problems have in common, with what `answer` answers as their examples.
pub(crate) fn shared(answer: Answer) -> Vec<Refusal> {
    let refusal = |name, members, failures: &[Failure]| refusal(answer, name, members, failures);
    vec![
        refusal("InvalidCursor", &["errors"], &[Failure::InvalidCursor]),
        refusal("Unauthorized", &[], &[Failure::Unauthorized]),
        refusal("UnknownPath", &[], &[Failure::UnknownPath]),
        refusal("MethodNotAllowed", &[], &[Failure::MethodNotAllowed("GET, POST".to_owned())]),
        refusal("BodyIncomplete", &[], &[BodyFailure::Incomplete.into()]),
        refusal("BodyTooLarge", &[], &[BodyFailure::TooLarge(MAX_BYTES).into()]),
        refusal("UnsupportedMediaType", &[], &[BodyFailure::MediaType.into()]),
        refusal("Internal", &[], &[Failure::Internal]),
        refusal("TooManyRequests", &[], &[Failure::TooManyRequests(Limit::Key)])
            .header("RateLimit")
            .header("RateLimit-Policy")
            .header("X-RateLimit-Limit")
            .header("X-RateLimit-Remaining")
            .header("X-RateLimit-Reset"),
        // It is answered before the path is known, so that it is in no operation.
        refusal("HeadTooLarge", &[], &[Failure::HeadTooLarge]).without_id(),
        refusal("OtherProtocol", &[], &[Failure::OtherProtocol]),
        refusal("Unavailable", &[], &[Failure::Unavailable, Failure::Overloaded, Failure::ReadOnly, Failure::NoMemory]),
    ]
}

/// A refusal with these members in its problem, as `answer` answers these failures.
pub(crate) fn refusal(
    answer: Answer,
    name: &'static str,
    members: &'static [&'static str],
    failures: &[Failure],
) -> Refusal {
    let answers: Vec<_> = failures.iter().map(|failure| (kind_of(answer, failure), answer(failure))).collect();
    let codes: Vec<_> = answers.iter().map(|(kind, _)| kind.code).collect();
    let sentences: Vec<_> = answers.iter().map(|(kind, _)| format!("`{}`: {}", kind.code, kind.meaning)).collect();
    let schema = move |generator: &mut SchemaGenerator| {
        let problem = generator.subschema_for::<Problem>();
        let here = json!({ "type": "object", "required": members, "properties": { "code": { "enum": codes } } });
        schema_of(json!({ "allOf": [problem, here] }))
    };
    let refusal = Refusal::of(name, sentences.join("\n\n"), Box::new(schema));
    answers.into_iter().fold(refusal, |refusal, (kind, response)| refusal.example(kind.code, response))
}

/// The kind of problem that the code answers a failure with.
fn kind_of(answer: Answer, failure: &Failure) -> &'static Kind {
    let body = answer(failure).into_body().try_into_bytes().expect("a body at hand");
    let problem: Value = serde_json::from_slice(&body).expect("JSON");
    problem["code"].as_str().and_then(Kind::find).expect("a code of the list")
}
