//! Every text that a page shows, besides those of the API.

use crate::session::{Area, Environment};

pub(crate) const PRODUCT: &str = "Roster";
pub(crate) const SKIP: &str = "Skip to the content";
pub(crate) const SECTIONS: &str = "Sections";
pub(crate) const ENVIRONMENT: &str = "Environment";
pub(crate) const SANDBOX_NOTE: &str = "Sandbox: customers for tests.";
pub(crate) const SHORTCUTS: &str = "Keyboard shortcuts";
pub(crate) const CLOSE: &str = "Close";
pub(crate) const COPY: &str = "Copy";
pub(crate) const COPIED: &str = "Copied";
pub(crate) const NONE: &str = "–";

pub(crate) const SHORTCUT_LIST: &[(&[&str], &str)] = &[
    (&["/"], "Search"),
    (&["n"], "New customer"),
    (&["j", "k"], "Next and previous customer in the list"),
    (&["Enter"], "Open the customer"),
    (&["?"], "Show these shortcuts"),
];

pub(crate) const SIGN_IN: &str = "Sign in";
pub(crate) const SIGN_OUT: &str = "Sign out";
pub(crate) const API_KEY: &str = "API key";
pub(crate) const KEY: &str = "Key";
pub(crate) const SIGN_IN_INTRODUCTION: &str = "Sign in with an API key of your merchant, or with the key of an operator. You see and change what this key allows, for \
     12 hours at most.";
pub(crate) const SESSION_EXPIRED: &str = "The session has lasted as long as it may. Sign in again.";
pub(crate) const SESSION_ENDED: &str =
    "The session has ended: its key was revoked or has expired. Sign in with another key.";
pub(crate) const SIGNED_OUT: &str = "You have signed out.";
pub(crate) const LINK_USED: &str = "This link signs in once, within ten minutes, and cannot be used any more.";
pub(crate) const ELSEWHERE: &str = "This page is not served at this address. Sign in here with a key of another kind, or open the other address of \
     the service.";
pub(crate) const NO_KEY: &str =
    "This is no API key and no key of an operator. Keys begin with sk_live_, sk_test_ or sk_admin_.";
pub(crate) const WRONG_KEY: &str = "This key is not accepted: it is mistyped, was revoked, or has expired.";
pub(crate) const TOO_MANY_ATTEMPTS: &str = "Too many attempts. Try again in a minute.";
pub(crate) const NOT_CHECKED: &str = "The key cannot be checked at the moment. Try again.";

pub(crate) const FORGED_TITLE: &str = "Nothing was changed";
pub(crate) const FORGED: &str = "The form was not sent by a page of this session, or is not complete. \
                                 Go back, load the page again and repeat it.";
pub(crate) const NOT_FOUND_TITLE: &str = "Not found";
pub(crate) const NOT_FOUND: &str = "There is nothing at this address.";
pub(crate) const BROKEN_TITLE: &str = "Something went wrong";
pub(crate) const BROKEN: &str = "The service has not answered as it should. Try again.";
pub(crate) const BACK_TO_CUSTOMERS: &str = "Customers";

pub(crate) const CUSTOMERS: &str = "Customers";
pub(crate) const NEW_CUSTOMER: &str = "New customer";
pub(crate) const SEARCH: &str = "Search";
pub(crate) const SEARCH_HINT: &str = "Name, e-mail address, business name or external identifier";
pub(crate) const FILTERS: &str = "Filters";
pub(crate) const APPLY: &str = "Apply";
pub(crate) const CLEAR_FILTERS: &str = "Clear all filters";
pub(crate) const STATUS: &str = "Status";
pub(crate) const ANY: &str = "Any";
pub(crate) const ORDER: &str = "Order";
pub(crate) const NEWEST_FIRST: &str = "Newest first";
pub(crate) const OLDEST_FIRST: &str = "Oldest first";
pub(crate) const CREATED_FROM: &str = "Created from";
pub(crate) const CREATED_TO: &str = "Created up to";
pub(crate) const METADATA_KEY: &str = "Metadata key";
pub(crate) const METADATA_VALUE: &str = "Metadata value";
pub(crate) const CUSTOMER: &str = "Customer";
pub(crate) const EMAIL: &str = "E-mail address";
pub(crate) const EXTERNAL_ID: &str = "External identifier";
pub(crate) const CREATED: &str = "Created";
pub(crate) const CHANGED: &str = "Changed";
pub(crate) const NEXT_PAGE: &str = "Next page";
pub(crate) const FIRST_PAGE: &str = "First page";
pub(crate) const PAGES: &str = "Pages";
pub(crate) const NO_CUSTOMERS_TITLE: &str = "No customers yet";
pub(crate) const NO_CUSTOMERS: &str = "Create the first one here, or with a request to one of the three APIs.";
pub(crate) const NO_MATCH_TITLE: &str = "No customer matches";
pub(crate) const NO_MATCH: &str = "No customer has all that you ask for.";
pub(crate) const NO_MORE_HERE: &str = "None of the customers that were looked at matches. There are more to look at.";
pub(crate) const LIST_REFUSED_TITLE: &str = "The list cannot be shown";

pub(crate) const IDENTITY: &str = "Identity";
pub(crate) const ADDRESS: &str = "Billing address";
pub(crate) const TAX_AND_BILLING: &str = "Tax and billing";
pub(crate) const METADATA: &str = "Metadata";
pub(crate) const RECORD: &str = "Record";
pub(crate) const IDENTIFIER: &str = "Identifier";
pub(crate) const VERSION: &str = "Version";
pub(crate) const NO_METADATA: &str = "No metadata.";
pub(crate) const SUBSCRIPTIONS: &str = "Subscriptions";
pub(crate) const SUBSCRIPTION: &str = "Subscription";
pub(crate) const NO_SUBSCRIPTIONS: &str = "No subscription was reported.";
pub(crate) const PLAN: &str = "Plan";
pub(crate) const STARTED: &str = "Started";
pub(crate) const CANCELLED: &str = "Cancelled";
pub(crate) const MORE_SUBSCRIPTIONS: &str = "There are more; the API has them all.";
pub(crate) const TIMELINE: &str = "Timeline";
pub(crate) const NO_EVENTS: &str = "No events are kept of this customer.";
pub(crate) const OLDER_EVENTS: &str = "Older events";
pub(crate) const NEWEST_EVENTS: &str = "Newest events";
pub(crate) const FIELD: &str = "Field";
pub(crate) const BEFORE: &str = "Before";
pub(crate) const AFTER: &str = "After";
pub(crate) const FOR_DEVELOPERS: &str = "For developers";
pub(crate) const RAW_JSON: &str = "JSON";
pub(crate) const SAME_REQUEST: &str = "The same request with curl";
pub(crate) const EDIT: &str = "Edit";
pub(crate) const ARCHIVE: &str = "Archive";
pub(crate) const ACTIVATE: &str = "Make active";
pub(crate) const DELETE: &str = "Delete";
pub(crate) const ACTIONS: &str = "Actions";
pub(crate) const WITHOUT_NAME: &str = "Without a name";

pub(crate) const EDIT_CUSTOMER: &str = "Edit customer";
pub(crate) const SAVE: &str = "Save";
pub(crate) const CREATE: &str = "Create customer";
pub(crate) const CANCEL: &str = "Cancel";
pub(crate) const REQUIRED: &str = "required";
pub(crate) const FAULTS_TITLE: &str = "Nothing was saved. Please check:";
pub(crate) const NOT_SET: &str = "not set";
pub(crate) const METADATA_HINT: &str = "A JSON object, up to 16 KiB.";
pub(crate) const COUNTRY_HINT: &str = "Two letters, such as DE.";
pub(crate) const PHONE_HINT: &str = "With the country, such as +14155552671.";
pub(crate) const LOCALE_HINT: &str = "Such as en or pt-BR.";
pub(crate) const TIMEZONE_HINT: &str = "Such as Europe/Berlin.";
pub(crate) const CURRENCY_HINT: &str = "Three letters, such as EUR.";
pub(crate) const EXTERNAL_ID_HINT: &str = "The identifier in your own system. No two customers share one.";
pub(crate) const NOT_JSON: &str = "must be JSON";
pub(crate) const SHARE_EMAIL: &str = "Let both customers have this e-mail address";
pub(crate) const SHOW_OTHER: &str = "Show the customer that has it";

pub(crate) const CONFLICT_TITLE: &str = "This customer has changed in the meantime";
pub(crate) const CONFLICT: &str = "Someone else has changed this customer since you opened it. Nothing was saved. \
     Choose what each field is to have.";
pub(crate) const WHEN_OPENED: &str = "When you opened it";
pub(crate) const YOURS: &str = "Yours";
pub(crate) const STORED_NOW: &str = "Stored now";
pub(crate) const EMPTY: &str = "(empty)";
pub(crate) const SAVE_CHOICE: &str = "Save this choice";

pub(crate) const DELETE_TITLE: &str = "Delete this customer?";
pub(crate) const DELETE_WARNING: &str = "The customer disappears from every list and every API. Its e-mail address and external identifier can be used \
     again. This cannot be undone here.";
pub(crate) const DELETE_CHANGED: &str =
    "The customer has changed since this page was opened. Look at it again before you delete it.";
pub(crate) const DELETE_CONFIRM: &str = "Delete the customer";

/// The name of an environment.
pub(crate) const fn environment(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "Live",
        Environment::Sandbox => "Sandbox",
    }
}

/// Where a key comes from.
pub(crate) fn key_hint(area: Area) -> String {
    let command = match area {
        Area::Merchant(_) => "roster keys create",
        Area::Operators => "roster operators create",
    };
    format!("It begins with {}. The command `{command}` makes one.", area.key_prefix())
}

/// Why no key of an area is accepted at this address.
pub(crate) const fn not_served(area: Area) -> &'static str {
    match area {
        Area::Merchant(_) => {
            "Only operators sign in at this address. API keys sign in at the other one of the service."
        }
        Area::Operators => {
            "Operators cannot sign in here: the service has no operator yet (the command `roster operators create` makes one), \
             or they have an address of their own (the setting admin.bind)."
        }
    }
}

/// The title of a page in the place of one that the API has refused.
pub(crate) const fn refused_title(status: u16) -> &'static str {
    match status {
        403 => "This key may not do that",
        404 | 410 => "Not found",
        409 | 412 => "Nothing was changed",
        429 => "Too many requests",
        500.. => "The service cannot answer at the moment",
        _ => "This does not work",
    }
}

/// What a form that was done leads to says.
pub(crate) fn notice(name: &str) -> Option<&'static str> {
    Some(match name {
        "created" => "The customer was created.",
        "saved" => "The changes were saved.",
        "unchanged" => "There was nothing to save.",
        "archived" => "The customer was archived.",
        "active" => "The customer is active.",
        "deleted" => "The customer was deleted.",
        "revoked" => "The key was revoked.",
        "replay" => "The events will be sent again.",
        "test_delivered" => "The test event was delivered.",
        "test_failed" => "The test event was not delivered. The attempts say why.",
        "webhook_deleted" => "The webhook was deleted.",
        "sent" => "The file is there, and is being imported.",
        "cancelled" => "The import was ended. What was imported before stays.",
        "stale" => "The customer has changed in the meantime. Nothing was done: look at it, and repeat it.",
        _ => return None,
    })
}

/// The name of a status.
pub(crate) fn status(status: &str) -> &str {
    match status {
        "active" => "Active",
        "archived" => "Archived",
        "disabled" => "Disabled",
        "failing" => "Failing",
        "cancelled" => "Cancelled",
        "trialing" => "Trialing",
        "past_due" => "Past due",
        "paused" => "Paused",
        "expired" => "Expired",
        other => other,
    }
}

/// How many customers a page of the list shows.
pub(crate) fn shown(count: usize) -> String {
    match count {
        0 => "No customers".to_owned(),
        1 => "1 customer on this page".to_owned(),
        count => format!("{count} customers on this page"),
    }
}

/// What happened in an event of this type.
pub(crate) fn event(kind: &str) -> &str {
    match kind {
        "customer.created" => "Created",
        "customer.updated" => "Changed",
        "customer.archived" => "Archived",
        "customer.restored" => "Restored",
        "customer.deleted" => "Deleted",
        "subscription.created" => "Subscription reported",
        "subscription.updated" => "Subscription changed",
        other => other,
    }
}

/// Who made a change.
pub(crate) fn actor(kind: &str, id: &str) -> String {
    let kind = match kind {
        "api_key" => "API key",
        "token" => "Token",
        "operator" => "Operator",
        "system" => "The service",
        other => other,
    };
    if id.is_empty() { kind.to_owned() } else { format!("{kind} {id}") }
}

/// How many fields of an event are not shown.
pub(crate) fn more_differences(more: usize) -> String {
    format!("and {more} more, which the API shows")
}

pub(crate) const DEVELOPERS: &str = "Developers";
pub(crate) const API: &str = "API and exports";
pub(crate) const API_KEYS: &str = "API keys";
pub(crate) const WEBHOOKS: &str = "Webhooks";
pub(crate) const EVENTS: &str = "Events";
pub(crate) const IMPORTS: &str = "Imports";
pub(crate) const SHOWN_ONCE: &str =
    "Copy this secret now and keep it in a safe place. It is shown here once and never again.";
pub(crate) const NAME: &str = "Name";
pub(crate) const TIME: &str = "Time";
pub(crate) const DESCRIPTION: &str = "Description";

pub(crate) const DOCUMENTATION: &str = "Documentation";
pub(crate) const READ_AND_TRY: &str = "Read about the APIs and try them";
pub(crate) const OPENAPI: &str = "The OpenAPI documents, for programs:";
pub(crate) const EXPORT_TITLE: &str = "Export all customers";
pub(crate) const EXPORT_HINT: &str = "One file with all customers of this environment, as they are at one moment.";

pub(crate) const NEW_KEY: &str = "New API key";
pub(crate) const CREATE_KEY: &str = "Create key";
pub(crate) const KEY_CREATED: &str = "The key was created";
pub(crate) const KEY_ROTATED: &str = "Another key was made in its place";
pub(crate) const KEY_NAME_HINT: &str = "What the key is for, such as: nightly reports.";
pub(crate) const EXPIRES: &str = "Expires";
pub(crate) const EXPIRES_HINT: &str = "At the beginning of this day, UTC. Empty: never.";
pub(crate) const SCOPES_LABEL: &str = "Scopes";
pub(crate) const LAST_USED: &str = "Last used";
pub(crate) const REVOKED: &str = "Revoked";
pub(crate) const EXPIRED: &str = "Expired";
pub(crate) const VALID: &str = "Valid";
pub(crate) const THIS_SESSION: &str = "You have signed in with this key";
pub(crate) const ROTATE: &str = "Rotate";
pub(crate) const ROTATE_KEY: &str = "Rotate this key";
pub(crate) const ROTATE_KEY_HINT: &str =
    "Makes another key with the same name, scopes and expiry. Both are accepted until the overlap ends.";
pub(crate) const OVERLAP: &str = "Overlap";
pub(crate) const REVOKE: &str = "Revoke the key";
pub(crate) const REVOKE_TITLE: &str = "Revoke this key?";
pub(crate) const REVOKE_WARNING: &str =
    "No request with it is accepted any more, and every session that has begun with it ends. This cannot be undone.";
pub(crate) const REVOKE_SIGNS_OUT: &str = "It is the key of your session: you will be signed out.";

/// The scopes of API keys, each with what it allows.
pub(crate) const SCOPES: [(&str, &str); 8] = [
    ("customers:read", "see customers and their subscriptions"),
    ("customers:write", "create, change and delete customers"),
    ("customers:allow_duplicate_email", "let two customers have one e-mail address"),
    ("subscriptions:write", "report subscriptions"),
    ("keys:manage", "create, list, rotate and revoke API keys"),
    ("events:read", "see what happened, and who did it"),
    ("webhooks:manage", "manage webhooks"),
    ("imports:write", "import files of customers"),
];

/// How long what is replaced stays valid, in seconds, each with its name.
pub(crate) const OVERLAPS: [(&str, &str); 4] = [
    ("0", "None: the old one ends at once"),
    ("3600", "One hour"),
    (DEFAULT_OVERLAP, "One day"),
    ("604800", "Seven days"),
];

pub(crate) const DEFAULT_OVERLAP: &str = "86400";

pub(crate) const WEBHOOK: &str = "Webhook";
pub(crate) const NEW_WEBHOOK: &str = "New webhook";
pub(crate) const EDIT_WEBHOOK: &str = "Edit webhook";
pub(crate) const CREATE_WEBHOOK: &str = "Create webhook";
pub(crate) const WEBHOOK_CREATED: &str = "The webhook was created";
pub(crate) const SHOW_WEBHOOK: &str = "Show the webhook";
pub(crate) const NO_WEBHOOKS_TITLE: &str = "No webhooks yet";
pub(crate) const NO_WEBHOOKS: &str = "A webhook sends what happens to customers to a server of yours.";
pub(crate) const URL: &str = "URL";
pub(crate) const URL_HINT: &str = "Events are sent there with POST.";
pub(crate) const PAYLOAD: &str = "Payload";
pub(crate) const FAILING_SINCE: &str = "Failing since";
pub(crate) const DISABLED: &str = "Disabled";
pub(crate) const BACKLOG: &str = "Not delivered yet";
pub(crate) const SECRET: &str = "Secret";
pub(crate) const FORMER_SECRET: &str = "The former secret also signs until";
pub(crate) const NEW_SECRET: &str = "Another secret";
pub(crate) const NEW_SECRET_HINT: &str = "Deliveries are signed with both secrets until the overlap ends.";
pub(crate) const MAKE_SECRET: &str = "Make another secret";
pub(crate) const SECRET_ROTATED: &str = "Another secret was made";
pub(crate) const SEND_TEST: &str = "Send a test event";
pub(crate) const REPLAY_TITLE: &str = "Send events again";
pub(crate) const REPLAY_HINT: &str =
    "All events from a number of the log on, or one event. The page Events shows the numbers.";
pub(crate) const FROM_SEQ: &str = "From number";
pub(crate) const REPLAY_FROM: &str = "Send all from there";
pub(crate) const EVENT_ID: &str = "Event identifier";
pub(crate) const REPLAY_ONE: &str = "Send this event";
pub(crate) const ATTEMPTS: &str = "Attempts";
pub(crate) const NO_ATTEMPTS: &str = "Nothing was sent yet.";
pub(crate) const OUTCOME: &str = "Outcome";
pub(crate) const EVENT: &str = "Event";
pub(crate) const ATTEMPT: &str = "Attempt";
pub(crate) const DURATION: &str = "Duration";
pub(crate) const ANSWER: &str = "Answer";
pub(crate) const DELETE_WEBHOOK_TITLE: &str = "Delete this webhook?";
pub(crate) const DELETE_WEBHOOK_WARNING: &str =
    "Nothing is sent to it any more, and its attempts are deleted. This cannot be undone.";
pub(crate) const DELETE_WEBHOOK: &str = "Delete the webhook";

/// The forms of deliveries, each with its name.
pub(crate) const PAYLOADS: [(&str, &str); 2] =
    [("thin", "The event alone"), ("with_customer", "The event and the customer")];

/// What a webhook can be sent, each with what it means.
pub(crate) const EVENT_TYPES: [(&str, &str); 8] = [
    ("*", "all, also types that are added later"),
    ("customer.created", "a customer was created"),
    ("customer.updated", "data of a customer changed"),
    ("customer.archived", "a customer was archived"),
    ("customer.deleted", "a customer was deleted"),
    ("customer.restored", "a deleted customer is there again"),
    ("subscription.created", "a subscription was reported for the first time"),
    ("subscription.updated", "a subscription was reported again"),
];

pub(crate) const EVENT_TYPE: &str = "Type";
pub(crate) const CUSTOMER_ID: &str = "Customer identifier";
pub(crate) const NO_EVENTS_HERE: &str = "No event matches.";
pub(crate) const FIELDS: &str = "Fields";
pub(crate) const ACTOR: &str = "By";
pub(crate) const SEQ: &str = "Number";
pub(crate) const RELOAD: &str = "Load the page again";

pub(crate) const IMPORT: &str = "Import";
pub(crate) const SEND_FILE: &str = "Send a file";
pub(crate) const FILE: &str = "File";
pub(crate) const FILE_HINT: &str = "CSV with a header, or a customer in JSON in each line (NDJSON), in UTF-8.";
pub(crate) const FILE_UNREADABLE: &str = "The form could not be read: it must have a file, and come whole.";
pub(crate) const IMPORT_FROM: &str = "Columns";
pub(crate) const IMPORT_ON_CONFLICT: &str = "Customers that are there already";
pub(crate) const IMPORT_UNKNOWN: &str = "Columns without a meaning";
pub(crate) const IMPORT_SHARES: &str = "A row may have the e-mail address of another customer";
pub(crate) const IMPORT_AGAIN: &str = "Import the file although it was imported before";
pub(crate) const SEND_BY_COMMAND: &str = "Send it by a command";
pub(crate) const SEND_BY_COMMAND_HINT: &str =
    "With a key with imports:write in $KEY. The answer has the identifier of the import.";

/// Whose columns a file has, each with its name.
pub(crate) const IMPORT_SOURCES: [(&str, &str); 6] = [
    ("roster", "of an export of Roster"),
    ("stripe", "of an export of Stripe"),
    ("lago", "of an export of Lago"),
    ("lava", "of Lava"),
    ("billingio", "of billing.io"),
    ("lumen", "of Lumen"),
];

/// What becomes of a row whose identifiers a customer has, each with its name.
pub(crate) const IMPORT_CONFLICTS: [(&str, &str); 3] =
    [("fail", "The row is refused"), ("skip", "The row is left out"), ("update", "The customer gets what the row has")];

/// What becomes of columns that have no meaning, each with its name.
pub(crate) const IMPORT_UNKNOWNS: [(&str, &str); 3] =
    [("refuse", "The file is refused"), ("metadata", "They become metadata"), ("ignore", "They are left out")];

pub(crate) const NO_IMPORTS: &str = "No file was sent yet.";
pub(crate) const FOLLOW_IMPORT: &str = "Follow an import";
pub(crate) const IMPORT_ID: &str = "Import identifier";
pub(crate) const SHOW: &str = "Show";
pub(crate) const BYTES: &str = "Bytes";
pub(crate) const ROWS: &str = "Rows";
pub(crate) const ROWS_CREATED: &str = "Customers created";
pub(crate) const ROWS_UPDATED: &str = "Customers changed";
pub(crate) const ROWS_UNCHANGED: &str = "Customers unchanged";
pub(crate) const ROWS_SKIPPED: &str = "Rows left out";
pub(crate) const ROWS_FAILED: &str = "Rows refused";
pub(crate) const ENDED: &str = "Ended";
pub(crate) const CANCEL_IMPORT: &str = "End the import";
pub(crate) const ROW_ERRORS: &str = "First errors";
pub(crate) const ROW: &str = "Row";
pub(crate) const COLUMN: &str = "Column";
pub(crate) const RULE: &str = "Rule";
pub(crate) const REMEDY: &str = "What to do";
pub(crate) const ALL_ERRORS: &str = "All errors, one line of JSON each";

/// The name of an export.
pub(crate) fn export(format: &str) -> String {
    format!("Export as {}", format.to_uppercase())
}

/// The name of a form of deliveries.
pub(crate) fn payload(form: &str) -> &str {
    PAYLOADS.iter().find(|(of, _)| *of == form).map_or(form, |(_, name)| name)
}

/// Why a webhook is disabled.
pub(crate) fn disabled(reason: &str) -> &str {
    match reason {
        "requested" => "on request",
        "gone" => "as it has answered 410",
        "failing" => "as every delivery has failed for days",
        other => other,
    }
}

/// What is not delivered to a webhook.
pub(crate) fn backlog(events: i64, oldest_seconds: u64) -> String {
    match events {
        0 => "Nothing".to_owned(),
        1 => format!("1 event, {oldest_seconds} seconds old"),
        events => format!("{events} events, the oldest {oldest_seconds} seconds old"),
    }
}

/// What became of an attempt to deliver.
pub(crate) fn outcome(outcome: &str) -> &str {
    match outcome {
        "delivered" => "Delivered",
        "failed" => "Failed",
        "given_up" => "Given up",
        "gone" => "Gone",
        other => other,
    }
}

/// The state of an import.
pub(crate) fn import_state(state: &str) -> &str {
    match state {
        "receiving" => "Receiving",
        "running" => "Running",
        "finished" => "Finished",
        "failed" => "Failed",
        "cancelled" => "Ended on request",
        other => other,
    }
}

/// How many imports a page shows.
pub(crate) fn shown_imports(count: usize) -> String {
    match count {
        1 => "1 import on this page".to_owned(),
        count => format!("{count} imports on this page"),
    }
}

/// How many events a page shows.
pub(crate) fn shown_events(count: usize) -> String {
    match count {
        1 => "1 event on this page".to_owned(),
        count => format!("{count} events on this page"),
    }
}

pub(crate) const OVERVIEW: &str = "Overview";
pub(crate) const REQUESTS: &str = "Requests of this instance in the last hour";
pub(crate) const NEW_CUSTOMERS_PER_DAY: &str = "New customers per day, for 30 days";
pub(crate) const CHANGES: &str = "Changes";
pub(crate) const CHANGES_PER_DAY: &str = "Changes of customers and subscriptions per day, for 30 days";
pub(crate) const REQUESTS_PER_SECOND: &str = "Requests per second, minute by minute";
pub(crate) const DURATION_OF_REQUESTS: &str =
    "Time within which 99 of 100 requests were answered, the longest of each minute";
pub(crate) const VALUE: &str = "Value";
pub(crate) const ALL_WEBHOOKS: &str = "All webhooks";

/// How many customers there are.
pub(crate) fn total_customers(count: u64, is_exact: bool) -> String {
    match (count, is_exact) {
        (1, true) => "1 customer".to_owned(),
        (count, true) => format!("{count} customers"),
        (count, false) => format!("{count}+ customers"),
    }
}

/// What the image of a chart is, for people who cannot see it: its link leads to the figures.
pub(crate) fn figures_of(title: &str) -> String {
    format!("{title}: show the figures as a table")
}

/// The highest bar of a chart.
pub(crate) fn highest(value: &str, label: &str) -> String {
    format!("Highest: {value} ({label})")
}

/// How webhooks are doing.
pub(crate) fn webhook_health(all: usize, failing: usize, disabled: usize) -> String {
    format!("Endpoints: {all}, failing: {failing}, disabled: {disabled}")
}

/// The texts of the pages for operators.
pub(crate) mod operators {
    use crate::session::Environment;

    pub(crate) const MERCHANTS: &str = "Merchants";
    pub(crate) const LOG: &str = "Operator log";
    pub(crate) const SERVICE: &str = "Service";

    pub(crate) const SHORTCUT_LIST: &[(&[&str], &str)] = &[
        (&["/"], "Search"),
        (&["n"], "New merchant, or new key of a merchant"),
        (&["j", "k"], "Next and previous row of a list"),
        (&["Enter"], "Open it"),
        (&["?"], "Show these shortcuts"),
    ];

    pub(crate) const NEEDS_ADMIN: &str = "This needs an operator with the role admin. Yours is read.";

    pub(crate) const MERCHANT: &str = "Merchant";
    pub(crate) const NEW_MERCHANT: &str = "New merchant";
    pub(crate) const CREATE_MERCHANT: &str = "Create merchant";
    pub(crate) const SEARCH_HINT: &str = "A part of the name";
    pub(crate) const CLEAR_SEARCH: &str = "Show all merchants";
    pub(crate) const NO_MERCHANTS_TITLE: &str = "No merchants yet";
    pub(crate) const NO_MERCHANTS: &str = "Create the first one here. Its API keys are made on its page.";
    pub(crate) const NO_MATCH_TITLE: &str = "No merchant matches";
    pub(crate) const NO_MATCH: &str = "No merchant has this text in its name.";
    pub(crate) const ENABLED: &str = "Enabled";
    pub(crate) const DISABLED_SINCE: &str = "Disabled since";
    pub(crate) const RENAME: &str = "Rename";
    pub(crate) const RENAME_TITLE: &str = "Rename the merchant";
    pub(crate) const DISABLE: &str = "Disable";
    pub(crate) const DISABLE_TITLE: &str = "Disable this merchant?";
    pub(crate) const DISABLE_WARNING: &str = "Its API keys and tokens are refused within seconds, on every API. Its data stays, and events are still delivered \
         to its webhook endpoints. You can enable it again.";
    pub(crate) const DISABLE_CONFIRM: &str = "Disable the merchant";
    pub(crate) const ENABLE: &str = "Enable";
    pub(crate) const ENABLE_TITLE: &str = "Enable this merchant?";
    pub(crate) const ENABLE_WARNING: &str = "Its API keys and tokens are accepted again.";
    pub(crate) const ENABLE_CONFIRM: &str = "Enable the merchant";

    pub(crate) const NO_KEYS: &str = "The merchant has no API keys.";
    pub(crate) const ENDS: &str = "Ends";
    pub(crate) const ROTATE_CONFIRM: &str = "Make the new key";
    pub(crate) const REVOKE: &str = "Revoke";
    pub(crate) const BACK_TO_MERCHANT: &str = "Back to the merchant";

    pub(crate) const OPERATOR: &str = "Operator";
    pub(crate) const ACTION: &str = "Action";
    pub(crate) const TARGET: &str = "Done to";
    pub(crate) const REQUEST: &str = "Request";
    pub(crate) const COMMAND_LINE: &str = "Command line";
    pub(crate) const NO_ENTRIES: &str = "Nothing was done in the last 400 days.";

    pub(crate) const SERVICE_NOTE: &str = "The instance that has made this page, where there are several.";
    pub(crate) const DATABASE: &str = "Database";
    pub(crate) const UPTIME: &str = "Running for";
    pub(crate) const SETTINGS: &str = "Settings";
    pub(crate) const SETTINGS_NOTE: &str = "Those that are secret are left out.";

    /// The name of an environment, by that of the API.
    pub(crate) fn environment(name: &str) -> &str {
        match Environment::named(name) {
            Some(environment) => super::environment(environment),
            None => name,
        }
    }

    /// What a form that was done leads to says.
    pub(crate) fn notice(name: &str) -> Option<&'static str> {
        Some(match name {
            "created" => "The merchant was created.",
            "renamed" => "The merchant was renamed.",
            "disabled" => "The merchant was disabled.",
            "enabled" => "The merchant was enabled.",
            "revoked" => "The key was revoked.",
            _ => return None,
        })
    }

    /// How many merchants a page of the list shows.
    pub(crate) fn shown(count: usize) -> String {
        match count {
            0 => "No merchants".to_owned(),
            1 => "1 merchant on this page".to_owned(),
            count => format!("{count} merchants on this page"),
        }
    }

    /// What an entry of the log says was done.
    pub(crate) fn action(action: &str) -> &str {
        match action {
            "merchant.created" => "Merchant created",
            "merchant.renamed" => "Merchant renamed",
            "merchant.disabled" => "Merchant disabled",
            "merchant.enabled" => "Merchant enabled",
            "api_key.created" => "API key created",
            "api_key.rotated" => "API key rotated",
            "api_key.revoked" => "API key revoked",
            "operator.created" => "Operator created",
            "operator.revoked" => "Operator revoked",
            other => other,
        }
    }

    /// A time in seconds, in days, hours and minutes.
    pub(crate) fn uptime(seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds} s"),
            (0, 0, minutes) => format!("{minutes} min"),
            (0, hours, minutes) => format!("{hours} h {minutes} min"),
            (days, hours, _) => format!("{days} d {hours} h"),
        }
    }
}
