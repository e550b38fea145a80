//! What all pages have around their content, and parts that many pages have.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use crate::session::{Area, Environment};
use crate::visit::{Operator, Place, TOKEN, Visit};
use crate::{BASE, assets, texts};

/// The pages that are reached from every other: the path below the environment, the name.
const SECTIONS: [(&str, &str); 3] =
    [("", texts::OVERVIEW), ("/customers", texts::CUSTOMERS), ("/developers", texts::DEVELOPERS)];

/// The same for operators.
const OPERATOR_SECTIONS: [(&str, &str); 3] = [
    ("/merchants", texts::operators::MERCHANTS),
    ("/log", texts::operators::LOG),
    ("/service", texts::operators::SERVICE),
];

/// The page that visitors of an area begin with: the path below the area, the name.
pub(crate) fn first(area: Area) -> (&'static str, &'static str) {
    match area {
        Area::Merchant(_) => ("/customers", texts::BACK_TO_CUSTOMERS),
        Area::Operators => OPERATOR_SECTIONS[0],
    }
}

/// A whole page.
pub(crate) fn page(place: &Place, title: &str, body: &Markup) -> Markup {
    let asset = |file| place.worker.console.0.assets.path(file);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (texts::PRODUCT) }
                link rel="icon" type="image/svg+xml" href=(asset(assets::ICON));
                link rel="stylesheet" href=(asset(assets::STYLE));
                script src=(asset(assets::SCRIPT)) defer {}
            }
            body {
                a.skip href="#main" { (texts::SKIP) }
                (header(place))
                main #main tabindex="-1" { (body) }
                p #status.visually-hidden role="status" {}
                @if place.token.is_some() { (help(place.area)) }
            }
        }
    }
}

fn header(place: &Place) -> Markup {
    html! {
        header {
            div.bar {
                a.brand href=(BASE) { (texts::PRODUCT) }
                @if let Some(token) = &place.token { (sections(place, token)) }
            }
            @if place.token.is_some() && place.area == Area::Merchant(Environment::Sandbox) {
                p.sandbox { (texts::SANDBOX_NOTE) }
            }
        }
    }
}

fn sections(place: &Place, token: &str) -> Markup {
    let current = |is_current: bool| is_current.then_some("page");
    let sections: &[(&str, &str)] = match place.area {
        Area::Merchant(_) => &SECTIONS,
        Area::Operators => &OPERATOR_SECTIONS,
    };
    html! {
        nav aria-label=(texts::SECTIONS) {
            @for (below, name) in sections {
                @let path = place.path(below);
                @let here = place.request.path();
                // The overview is above all other pages.
                @let is_current = if below.is_empty() { here == path } else { here.starts_with(&path) };
                a href=(path) aria-current=[current(is_current)] { (name) }
            }
        }
        @if let Area::Merchant(here) = place.area {
            nav.environments aria-label=(texts::ENVIRONMENT) {
                @for environment in Environment::ALL {
                    a href={ (BASE) "/" (environment.as_str()) "/customers" }
                        aria-current=[current(environment == here)] { (texts::environment(environment)) }
                }
            }
        }
        @if let Some(Operator { name, role }) = place.operator.get() { p.who { (name) " " span.hint { (role) } } }
        form method="post" action=(place.path("/sign-out")) {
            (hidden_token(token))
            button.plain type="submit" { (texts::SIGN_OUT) }
        }
    }
}

/// The shortcuts. The script opens it.
fn help(area: Area) -> Markup {
    let shortcuts = match area {
        Area::Merchant(_) => texts::SHORTCUT_LIST,
        Area::Operators => texts::operators::SHORTCUT_LIST,
    };
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { (texts::SHORTCUTS) }
            dl.keys {
                @for (keys, meaning) in shortcuts {
                    div {
                        dt { @for key in *keys { kbd { (key) } " " } }
                        dd { (meaning) }
                    }
                }
            }
            form method="dialog" { button type="submit" { (texts::CLOSE) } }
        }
    }
}

/// The field of a form that shows that a page of the session has sent it.
pub(crate) fn hidden_token(token: &str) -> Markup {
    html! { input type="hidden" name=(TOKEN) value=(token); }
}

/// The token of the forms of a place, as a field.
pub(crate) fn token(place: &Place) -> Markup {
    hidden_token(place.token.as_deref().unwrap_or_default())
}

/// A time of a value (RFC 3339, UTC) to the minute; a dash if it has none.
pub(crate) fn time(value: &Value, name: &str) -> Markup {
    let Some(text) = value[name].as_str() else { return html! { (texts::NONE) } };
    let shown = match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(minute)) => format!("{date} {minute} UTC"),
        _ => text.to_owned(),
    };
    html! { time datetime=(text) title=(text) { (shown) } }
}

/// A text; a dash if it is empty.
pub(crate) fn or_none(text: &str) -> &str {
    if text.is_empty() { texts::NONE } else { text }
}

/// A table whose first column names each row. On a narrow screen each row is a block, and each cell says which column it is of.
pub(crate) fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    html! {
        table.stacked {
            thead { tr { @for column in columns { th scope="col" { (column) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (place, (column, cell)) in columns.iter().zip(row).enumerate() {
                            @if place == 0 { th scope="row" { (cell) } } @else { td data-label=(column) { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// Text to be copied: the script adds a button to it. The keyboard reaches it, as it may have to be scrolled.
pub(crate) fn code(label: &str, text: &str) -> Markup {
    html! {
        div.code data-copy=(texts::COPY) data-copied=(texts::COPIED) {
            pre tabindex="0" role="region" aria-label=(label) { code { (text) } }
        }
    }
}

/// The note that a form which was done leads to.
pub(crate) fn notice(visit: &Visit) -> Markup {
    let name = visit.query.get("notice");
    let text = match visit.place.area {
        Area::Merchant(_) => texts::notice(name),
        Area::Operators => texts::operators::notice(name),
    };
    html! { @if let Some(text) = text { p.note role="status" { (text) } } }
}

/// The links to the first and the next page of the list at `path`. `parameter` is that of the page which has the cursor.
pub(crate) fn pages(visit: &Visit, path: &str, parameter: &str, page: &Value) -> Markup {
    let query = visit.query.clone().with("notice", "");
    let link = |cursor: &str| visit.path(&format!("{path}{}", query.clone().with(parameter, cursor).query()));
    let next = page["next_cursor"].as_str();
    html! {
        @if next.is_some() || query.has(parameter) {
            nav.pages aria-label=(texts::PAGES) {
                @if query.has(parameter) { a.button href=(link("")) { (texts::FIRST_PAGE) } }
                @if let Some(next) = next { a.button href=(link(next)) rel="next" { (texts::NEXT_PAGE) } }
            }
        }
    }
}

/// The end of a form: a button that sends it, and a link to the page at `back`.
pub(crate) fn actions(visit: &Visit, submit: &str, back: &str) -> Markup {
    html! {
        div.actions {
            button.primary type="submit" { (submit) }
            a.button href=(visit.path(back)) { (texts::CANCEL) }
        }
    }
}

/// A secret that is shown once: it is in the answer to the form that made it, and in no address. `back` is a page with its name.
pub(crate) fn secret(visit: &Visit, title: &str, label: &str, secret: &str, back: (&str, &str)) -> Markup {
    let (path, name) = back;
    html! {
        div.narrow {
            h1 { (title) }
            p.note role="status" { (texts::SHOWN_ONCE) }
            (code(label, secret))
            p { a.button href=(visit.path(path)) { (name) } }
        }
    }
}

/// A question before something is done, and a form that does it.
pub(crate) struct Question<'a> {
    pub(crate) title: &'a str,
    /// What it is done to.
    pub(crate) subject: Markup,
    pub(crate) warning: &'a str,
    /// Fields of the form.
    pub(crate) fields: Markup,
    pub(crate) confirm: &'a str,
    pub(crate) is_dangerous: bool,
    /// The page that the visitor goes back to.
    pub(crate) back: &'a str,
}

impl Question<'_> {
    /// The question. Its form is sent to the path of the page.
    pub(crate) fn ask(&self, visit: &Visit) -> Markup {
        let class = if self.is_dangerous { "danger" } else { "primary" };
        html! {
            div.narrow {
                h1 { (self.title) }
                p { (self.subject) }
                p { (self.warning) }
                form.sheet method="post" action=(visit.place.request.path()) {
                    (token(&visit.place))
                    (self.fields)
                    div.actions {
                        button class=(class) type="submit" { (self.confirm) }
                        a.button href=(visit.path(self.back)) { (texts::CANCEL) }
                    }
                }
            }
        }
    }
}
