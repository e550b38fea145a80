//! What the OpenAPI document says of webhooks.

use actix_web::http::StatusCode;
use roster_application::{ATTEMPT_LIFETIME, MAX_ATTEMPTS, MAX_ENDPOINTS, MAX_REPLAYS};
use roster_domain::{Endpoint, EndpointId};
use serde_json::json;

use super::describe::WEBHOOKS;
use super::webhooks::{self, AttemptView, NewWebhookView, WebhookView, WebhookWithBacklogView};
use crate::openapi::operation::{Answer, Operation, Parameter, Request};
use crate::openapi::schema::{Of, thousands};
use crate::paging::{cursor, page_of};
use crate::request::caller::ManageWebhooks;

pub(super) fn list_webhooks() -> Operation {
    Operation::new("listWebhooks", WEBHOOKS, "List webhooks")
        .needs::<ManageWebhooks>()
        .about("The webhook endpoints of the merchant in the environment of the credential, the oldest first, without secrets.")
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<WebhookView<'_>>("A page of webhook endpoints."))
        .refuses("InvalidCursor")
}

pub(super) fn create_webhook() -> Operation {
    Operation::new("createWebhook", WEBHOOKS, "Create a webhook")
        .needs::<ManageWebhooks>()
        .about(format!(
            "Events from now on are sent to `url` by `POST`, each as `GET /events/{{id}}` shows it, in the order of each customer, at \
             least once: `webhook-id` names the event, at each attempt. Every answer of 2xx within the timeout takes the event; any other, \
             redirects among them, is tried again, for more than three days by default, and 410 disables the endpoint. The \
             secret is shown here and never again. A merchant has at most {MAX_ENDPOINTS} endpoints in an environment."
        ))
        .reads(
            Request::json("CreateWebhook", |fields| webhooks::new_webhook(fields, false))
                .field("events", json!({ "minItems": 1 }))
                .example("all", json!({ "url": "https://example.com/hooks", "events": ["*"] }))
                .example(
                    "some",
                    json!({
                        "url": "https://example.com/hooks",
                        "events": ["customer.created", "customer.deleted"],
                        "description": "Invoices",
                        "payload": "with_customer",
                    }),
                ),
        )
        .answers_with(
            Answer::new(StatusCode::CREATED, "Webhook created.").json::<NewWebhookView<'_>>().header("Location"),
        )
        .refuses("TooManyWebhooks")
}

pub(super) fn get_webhook() -> Operation {
    Operation::new("getWebhook", WEBHOOKS, "Get a webhook")
        .needs::<ManageWebhooks>()
        .about("A webhook endpoint, and what is not delivered to it.")
        .parameter(id())
        .answers::<WebhookWithBacklogView<'_>>(StatusCode::OK, "The webhook endpoint.")
        .refuses("WebhookNotFound")
}

pub(super) fn update_webhook() -> Operation {
    Operation::new("updateWebhook", WEBHOOKS, "Change a webhook")
        .needs::<ManageWebhooks>()
        .about(
            "What is left out stays as it is. An endpoint that is made active again is sent what it has missed. Deliveries that are \
             being made end as they began.",
        )
        .parameter(id())
        .reads(
            Request::json("UpdateWebhook", |fields| webhooks::webhook_edit(fields, false))
                .field("events", json!({ "minItems": 1 }))
                .example("disable", json!({ "status": "disabled" })),
        )
        .answers::<WebhookView<'_>>(StatusCode::OK, "The webhook endpoint as it is now.")
        .refuses("WebhookNotFound")
}

pub(super) fn delete_webhook() -> Operation {
    Operation::new("deleteWebhook", WEBHOOKS, "Delete a webhook")
        .needs::<ManageWebhooks>()
        .about("Deletes the endpoint and its log of attempts.")
        .parameter(id())
        .answers_with(Answer::new(StatusCode::NO_CONTENT, "Webhook deleted."))
        .refuses("WebhookNotFound")
}

pub(super) fn rotate_webhook_secret() -> Operation {
    let seconds = "For how many seconds deliveries are signed with the present secret, too; 0: not at all. Left out or `null`: a day.";
    Operation::new("rotateWebhookSecret", WEBHOOKS, "Make a new secret for a webhook")
        .needs::<ManageWebhooks>()
        .about(format!(
            "The new secret is shown here and never again. For the overlap, at most {} days, `webhook-signature` has a signature \
             of each; `X-Billing-Signature` has room for one, that of the new secret.",
            Endpoint::MAX_OVERLAP.as_secs() / 86_400
        ))
        .parameter(id())
        .reads(
            Request::json("RotateWebhookSecret", webhooks::secret_overlap)
                .optional()
                .field("overlap_seconds", json!({ "description": seconds, "examples": [86_400] }))
                .example("an_hour", json!({ "overlap_seconds": 3600 })),
        )
        .answers::<NewWebhookView<'_>>(StatusCode::OK, "The webhook endpoint with its new secret.")
        .refuses("WebhookNotFound")
}

pub(super) fn test_webhook() -> Operation {
    Operation::new("testWebhook", WEBHOOKS, "Send a test event")
        .needs::<ManageWebhooks>()
        .about(
            "Sends an event of the type `webhook.test` at once and once, also to an endpoint that is disabled, and answers with what \
             came of it. The event is in no list, and the attempt changes nothing of the endpoint. A repeat with the same `Idempotency-Key` \
             gets the same attempt; one that arrives before the first is answered may send another event.",
        )
        .parameter(id())
        .reads(Request::json("TestWebhook", webhooks::nothing).optional().example("now", json!({})))
        .answers::<AttemptView<'_>>(StatusCode::OK, "The attempt, whatever its outcome.")
        .refuses("WebhookNotFound")
}

pub(super) fn replay_events() -> Operation {
    Operation::new("replayEvents", WEBHOOKS, "Send events again")
        .needs::<ManageWebhooks>()
        .about(format!(
            "With `from_seq`: all wanted events from that place of the log on, in the order of each customer. With `event_id`: that event, \
             beside the others; at most {MAX_REPLAYS} of them wait at a time. If deliveries are being made, it begins after up to a minute."
        ))
        .parameter(id())
        .reads(
            Request::json("ReplayEvents", webhooks::replay_order)
                .schema(&json!({ "oneOf": [{ "required": ["from_seq"] }, { "required": ["event_id"] }] }))
                .field("from_seq", json!({ "type": "integer", "description": "The `seq` of the first event." }))
                .example("from", json!({ "from_seq": 1 }))
                .example("one", json!({ "event_id": "evt_0000000000000123c8j9k0m1n2" })),
        )
        .answers_with(Answer::new(StatusCode::ACCEPTED, "They will be sent."))
        .refuses("WebhookNotFound")
        .refuses("TooManyReplays")
}

pub(super) fn list_webhook_attempts() -> Operation {
    Operation::new("listWebhookAttempts", WEBHOOKS, "List the attempts of a webhook")
        .needs::<ManageWebhooks>()
        .about(format!(
            "The attempts to deliver, the newest first. They are kept for {} days, and at most {} for each endpoint.",
            ATTEMPT_LIFETIME.as_secs() / 86_400,
            thousands(MAX_ATTEMPTS)
        ))
        .parameter(id())
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<AttemptView<'_>>("A page of attempts."))
        .refuses("InvalidCursor")
        .refuses("WebhookNotFound")
}

fn id() -> Parameter {
    let about =
        "The identifier of the webhook endpoint. What can never be one is answered as one that no endpoint has.";
    Parameter::path::<Of<EndpointId>>("id", about)
}
