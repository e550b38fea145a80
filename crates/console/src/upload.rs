//! Forms with a file: the fields are read first, the file is passed on as it comes.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt as _, future, stream};
use tokio::time::timeout;

use crate::api::Problem;
use crate::form::Form;
use crate::refusal::Refusal;
use crate::session::Area;
use crate::texts;
use crate::visit::{self, Place, Visit, Worker};

/// The name of the field with the file, the last of its form.
pub(crate) const FILE: &str = "file";

/// The most bytes of the other fields together.
const MAX_FIELDS: usize = 8192;

/// How long the other fields may take to arrive, and the rest of a file that was refused, which is read and discarded: a browser
/// shows no answer to a form before it has sent all of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers a form with a file, of a page of a merchant, if its environment, its session and its fields allow.
pub(crate) async fn answer<F, A>(worker: Rc<Worker>, request: HttpRequest, body: Payload, page: F) -> HttpResponse
where
    F: Fn(Rc<Visit>, Payload) -> A,
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    let Some(environment) = visit::environment_of(&request) else { return visit::not_found(worker, request) };
    let body = Rc::new(RefCell::new(body));
    let shared = Rc::clone(&body);
    let bytes = stream::poll_fn(move |context| shared.borrow_mut().poll_next_unpin(context));
    let mut form = Multipart::new(request.headers(), bytes);
    let place = Place::new(worker, request, Area::Merchant(environment));
    let fields = async { timeout(PATIENCE, read(&mut form)).await.ok().flatten().ok_or_else(unreadable) };
    let answer = visit::answer_at(place, fields, |visit, file| page(visit, passed_on(file))).await;
    let rest = stream::poll_fn(|context| body.borrow_mut().poll_next_unpin(context));
    let _ =
        timeout(PATIENCE, rest.take_while(|bytes| future::ready(bytes.is_ok())).for_each(|_| future::ready(()))).await;
    answer
}

/// Reads the fields in front of the file. `None` if there is no file, or they are too long.
async fn read(form: &mut Multipart) -> Option<(Form, Field)> {
    let mut fields = Form::default();
    let mut length = 0;
    loop {
        let mut field = form.next().await?.ok()?;
        let name = field.name()?.to_owned();
        if name == FILE {
            return Some((fields, field));
        }
        let mut value = Vec::new();
        while let Some(bytes) = field.next().await {
            value.extend_from_slice(&bytes.ok()?);
            if length + value.len() > MAX_FIELDS {
                return None;
            }
        }
        length += name.len() + value.len();
        fields = fields.with(&name, &String::from_utf8(value).ok()?);
    }
}

/// A file as the body of a request.
fn passed_on(file: Field) -> Payload {
    Payload::Stream { payload: Box::pin(file.map(|bytes| bytes.map_err(|_| PayloadError::Incomplete(None)))) }
}

fn unreadable() -> Refusal {
    let detail = texts::FILE_UNREADABLE.to_owned();
    Refusal::Problem(Box::new(Problem { status: 400, detail, ..Problem::default() }))
}
