//! A new import: a form with a file.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::Method;
use maud::html;

use super::page;
use crate::api::{Problem, text};
use crate::customers::examples::origin;
use crate::form::query;
use crate::input::{About, choice, summary};
use crate::refusal::Refusal;
use crate::upload::FILE;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// The values of a field, each with its name, the one at first in front.
type Values = &'static [(&'static str, &'static str)];

/// The fields that are parameters of the API, each with its label and its values.
const CHOICES: [(&str, &str, Values); 3] = [
    ("from", texts::IMPORT_FROM, &texts::IMPORT_SOURCES),
    ("on_conflict", texts::IMPORT_ON_CONFLICT, &texts::IMPORT_CONFLICTS),
    ("unknown", texts::IMPORT_UNKNOWN, &texts::IMPORT_UNKNOWNS),
];

/// Those that are true or left out, each with its label.
const FLAGS: [(&str, &str); 2] = [("allow_duplicate_emails", texts::IMPORT_SHARES), ("again", texts::IMPORT_AGAIN)];

/// `GET /console/{environment}/developers/imports/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    Ok(form(&visit, None))
}

/// `POST /console/{environment}/developers/imports/new`
pub(crate) async fn submit(visit: Rc<Visit>, file: Payload) -> Result<HttpResponse, Refusal> {
    let names = CHOICES.iter().map(|(name, ..)| *name).chain(FLAGS.iter().map(|(name, _)| *name));
    let options = query(names.map(|name| (name, visit.form.get(name))));
    let request = visit.request(Method::POST, format!("/v1/imports{options}")).with_file(file);
    match visit.send(request).await?.of_form()? {
        Err(problem) => Ok(form(&visit, Some(&problem))),
        Ok(import) => {
            let path = format!("/developers/imports/{}?notice=sent", text(&import, "id"));
            Ok(respond::see_other(&visit.path(&path)))
        }
    }
}

fn form(visit: &Visit, problem: Option<&Problem>) -> HttpResponse {
    let file = About { name: FILE, label: texts::FILE, hint: texts::FILE_HINT, is_required: true, is_wide: true };
    let command = format!(
        "curl {}/v1/imports?format=csv \\\n  -H \"Authorization: Bearer $KEY\" \\\n  --data-binary @customers.csv",
        origin(&visit.place)
    );
    let body = html! {
        h1 { (texts::SEND_FILE) }
        form.sheet method="post" action=(visit.path("/developers/imports/new")) enctype="multipart/form-data" {
            // The fields come before the file, which is read as it comes.
            (layout::token(&visit.place))
            (summary(problem))
            @for (name, label, choices) in CHOICES { (choice(name, label, visit.form.get(name), choices)) }
            @for (name, label) in FLAGS {
                div.choice {
                    label { input type="checkbox" name=(name) value="true" checked[visit.form.has(name)]; " " (label) }
                }
            }
            (file.field(problem, |id, invalid, described| html! {
                input id=(id) type="file" name=(FILE) required accept=".csv,.ndjson,.jsonl,text/csv,application/x-ndjson"
                    aria-invalid=[invalid] aria-describedby=[described];
            }))
            (layout::actions(visit, texts::SEND_FILE, "/developers/imports"))
        }
        section {
            h2 { (texts::SEND_BY_COMMAND) }
            p { (texts::SEND_BY_COMMAND_HINT) }
            (layout::code(texts::SEND_BY_COMMAND, &command))
        }
    };
    page(visit, Problem::status_of(problem), texts::SEND_FILE, &body)
}
