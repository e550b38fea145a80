//! The refusals that the documents of the vendors' surfaces have in common.

use roster_application::Scope;

use super::operation::Refusal;
use crate::failure::{Answer, BodyFailure, Failure};
use crate::middleware::limits::Limit;
use crate::request::body::MAX_BYTES;
use crate::request::consistency;

/// The refusals, made by `refusal` of their names and descriptions, with what `answer` answers as their examples.
pub(crate) fn refusals(refusal: fn(&'static str, &str) -> Refusal, answer: Answer) -> Vec<Refusal> {
    vec![
        refusal("InvalidIdempotencyKey", "`Idempotency-Key` breaks a rule, which `error` names.")
            .of_malformed_key(answer),
        refusal("InvalidReadHeader", "`Roster-Position` or `Roster-Consistency` breaks a rule, which `error` names.")
            .of_read_header(answer),
        refusal("IdempotencyKeyReused", "Another request has had this `Idempotency-Key`.").of_reused_key(answer),
        refusal("Unauthorized", "The credential is absent, malformed, unknown, revoked or expired.")
            .example("unauthorized", answer(&Failure::Unauthorized)),
        refusal(
            "MissingScope",
            "The credential is valid, but lacks the scope that this needs, or its merchant is disabled.",
        )
        .example("missing_scope", answer(&Failure::MissingScope(Scope::WriteCustomers)))
        .example("merchant_disabled", answer(&Failure::MerchantDisabled)),
        refusal(
            "MethodNotAllowed",
            "The path has other methods. No operation answers this: it is what the other methods of each path answer.",
        )
        .example("method_not_allowed", answer(&Failure::MethodNotAllowed("GET, POST".to_owned()))),
        refusal("BodyIncomplete", "The body did not arrive in time.")
            .example("incomplete", answer(&BodyFailure::Incomplete.into())),
        refusal("BodyTooLarge", "The body has too many bytes.")
            .example("too_large", answer(&BodyFailure::TooLarge(MAX_BYTES).into())),
        refusal("UnsupportedMediaType", "The body is declared as something other than JSON.")
            .example("media_type", answer(&BodyFailure::MediaType.into())),
        refusal("TooManyRequests", "A limit on requests is reached: that of the key, or that of the merchant.")
            .example("rate_limited", answer(&Failure::TooManyRequests(Limit::Key))),
    ]
}

impl Refusal {
    /// The same, which a malformed `Idempotency-Key` gets, too.
    pub(crate) fn of_malformed_key(self, answer: Answer) -> Self {
        self.example("idempotency_key", answer(&Failure::IdempotencyKey("must be sent once")))
    }

    /// The same, which a malformed `Roster-Consistency` or `Roster-Position` gets, too.
    pub(crate) fn of_read_header(self, answer: Answer) -> Self {
        self.example("read_header", answer(&consistency::unknown_value()))
    }

    /// The same, which an `Idempotency-Key` of another request gets, too.
    pub(crate) fn of_reused_key(self, answer: Answer) -> Self {
        self.example("idempotency_key_reused", answer(&Failure::IdempotencyKeyReused))
    }
}
