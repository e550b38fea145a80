//! Every text that a page shows, besides those of the API.

use crate::session::Environment;

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
pub(crate) const SIGN_IN_INTRODUCTION: &str =
    "Sign in with an API key of your merchant. You see and change what this key allows, for 12 hours at most.";
pub(crate) const SESSION_EXPIRED: &str = "The session has lasted as long as it may. Sign in again.";
pub(crate) const SESSION_ENDED: &str =
    "The session has ended: its key was revoked or has expired. Sign in with another key.";
pub(crate) const SIGNED_OUT: &str = "You have signed out.";
pub(crate) const LINK_USED: &str = "This link signs in once, within ten minutes, and cannot be used any more.";
pub(crate) const NO_KEY: &str = "This is no API key. A key begins with sk_live_ or sk_test_.";
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
pub(crate) fn key_hint(prefix: &str) -> String {
    format!("It begins with {prefix}. The command `roster keys create` makes one.")
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
        "stale" => "The customer has changed in the meantime. Nothing was done: look at it, and repeat it.",
        _ => return None,
    })
}

/// The name of a status.
pub(crate) fn status(status: &str) -> &str {
    match status {
        "active" => "Active",
        "archived" => "Archived",
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
        "customer.restored" => "Made active",
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
