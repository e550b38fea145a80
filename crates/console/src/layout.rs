//! What all pages have around their content, and parts that many pages have.

use maud::{DOCTYPE, Markup, html};

use crate::session::{Area, Environment};
use crate::visit::{Place, TOKEN};
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
            @if place.token.is_some() && place.environment == Environment::Sandbox {
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
        @if let Area::Merchant(_) = place.area {
            nav.environments aria-label=(texts::ENVIRONMENT) {
                @for environment in Environment::ALL {
                    a href={ (BASE) "/" (environment.as_str()) "/customers" }
                        aria-current=[current(environment == place.environment)] { (texts::environment(environment)) }
                }
            }
        }
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

/// A time of the API (RFC 3339, UTC) to the minute.
pub(crate) fn time(text: &str) -> Markup {
    let shown = match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(minute)) => format!("{date} {minute} UTC"),
        _ => text.to_owned(),
    };
    html! { time datetime=(text) title=(text) { (shown) } }
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
pub(crate) fn notice(name: &str) -> Markup {
    html! { @if let Some(text) = texts::notice(name) { p.note role="status" { (text) } } }
}
