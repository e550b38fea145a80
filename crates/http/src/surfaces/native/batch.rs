//! Many writes with one request: `POST /v1/customers/batch`.
//!
//! Each item is read as the request that it stands for, and its result is what that request would be answered.

use std::num::NonZeroU32;

use actix_web::body::MessageBody as _;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use roster_application::ports::{CustomerKey, CustomerRef, Write};
use roster_application::{CustomerChange, CustomerCommand, CustomerDeletion, Precondition};
use roster_domain::{CustomerId, ExternalId, Json, Object, Rule, Tenant};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::dto::{self, CustomerView, OnConflict, OnMetadata};
use super::error::{Error, answer};
use crate::failure::{Failure, Fault, Faults, Place};
use crate::problems::answer::Problem;
use crate::request::body;
use crate::request::caller::{BatchFailure, Caller, WriteCustomers};
use crate::request::fields::Fields;
use crate::respond::json;

/// The most items of a batch.
pub(crate) const MAX_ITEMS: usize = 500;

/// So many items, begun or whole, count as one request: together they cost the database about as much.
pub(crate) const ITEMS_OF_A_REQUEST: usize = 10;

/// Answers `POST /v1/customers/batch`.
pub(super) async fn write(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let body = body::read(&request).map_err(Failure::from)?;
    let Batch { items, is_atomic } = Fields::read(body, batch)?;
    if let Some(more) = more_requests(items.len()) {
        caller.count_more(more)?;
    }
    let commands = items.into_iter().map(|item| caller.permits(read_item(caller.tenant(), item)?)).collect();
    let results = if is_atomic { write_all(&caller, commands).await? } else { write_each(&caller, commands).await? };
    let results = results.iter().map(ResultView::of).collect();
    Ok(json(StatusCode::OK, &ResultsView { results }))
}

/// As how many requests more than one so many items count.
fn more_requests(items: usize) -> Option<NonZeroU32> {
    let requests = items.div_ceil(ITEMS_OF_A_REQUEST);
    NonZeroU32::new(u32::try_from(requests.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// Does each command for itself. One that was refused before has its failure already.
async fn write_each(
    caller: &Caller<WriteCustomers>,
    commands: Vec<Result<CustomerCommand, Failure>>,
) -> Result<Vec<Result<Write, Failure>>, Failure> {
    let mut ready = Vec::with_capacity(commands.len());
    let refused: Vec<Option<Failure>> = commands
        .into_iter()
        .enumerate()
        .map(|(place, command)| match command {
            Ok(command) => {
                ready.push((place, command));
                None
            }
            Err(failure) => Some(failure),
        })
        .collect();
    let mut written = caller.write_each(ready).await?;
    if let Some(failure) = outage(&mut written) {
        return Err(failure);
    }
    let mut written = written.into_iter();
    let result = |refused: Option<Failure>| match refused {
        Some(failure) => Err(failure),
        None => written.next().unwrap_or(Err(Failure::Internal)),
    };
    Ok(refused.into_iter().map(result).collect())
}

/// The failure of the whole batch, if the database has answered nothing of it.
fn outage(written: &mut Vec<Result<Write, Failure>>) -> Option<Failure> {
    let is_unanswered = |result: &Result<Write, Failure>| {
        matches!(result, Err(Failure::Unavailable | Failure::ReadOnly | Failure::Overloaded))
    };
    let is_outage = !written.is_empty() && written.iter().all(is_unanswered);
    if is_outage { written.swap_remove(0).err() } else { None }
}

/// Does all commands or none.
async fn write_all(
    caller: &Caller<WriteCustomers>,
    commands: Vec<Result<CustomerCommand, Failure>>,
) -> Result<Vec<Result<Write, Failure>>, Failure> {
    if commands.iter().any(Result::is_err) {
        return Ok(commands.into_iter().map(|command| Err(command.err().unwrap_or(Failure::BatchUndone))).collect());
    }
    let count = commands.len();
    match caller.write_all(commands.into_iter().flatten().collect()).await {
        Ok(writes) => Ok(writes.into_iter().map(Ok).collect()),
        Err(BatchFailure::Whole(failure)) => Err(failure),
        Err(BatchFailure::Item(place, failure)) => {
            let mut results: Vec<_> = (0..count).map(|_| Err(Failure::BatchUndone)).collect();
            results[place] = Err(failure);
            Ok(results)
        }
    }
}

/// What became of each item, in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BatchResults")]
pub(super) struct ResultsView<'a> {
    #[schemars(length(max = MAX_ITEMS))]
    results: Vec<ResultView<'a>>,
}

/// The answer to an item.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BatchResult")]
struct ResultView<'a> {
    /// The status that a request of its own would have.
    status: u16,
    /// The customer, the problem, or `null` for a deletion.
    body: BodyView<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum BodyView<'a> {
    Customer(Box<CustomerView<'a>>),
    Problem(#[schemars(with = "Problem")] Box<RawValue>),
    /// Of a deletion.
    None,
}

impl<'a> ResultView<'a> {
    fn of(result: &'a Result<Write, Failure>) -> Self {
        let write = match result {
            Ok(write) => write,
            Err(failure) => return Self::of_failure(failure),
        };
        let status = match write.before() {
            _ if !write.after().is_live() => return Self { status: 204, body: BodyView::None },
            None => 201,
            Some(_) => 200,
        };
        Self { status, body: BodyView::Customer(Box::new(write.after().into())) }
    }

    fn of_failure(failure: &Failure) -> Self {
        let response = answer(failure);
        let status = response.status().as_u16();
        let body = response.into_body().try_into_bytes().ok();
        let body = body.and_then(|bytes| String::from_utf8(bytes.into()).ok());
        let problem = body.and_then(|text| RawValue::from_string(text).ok());
        Self { status, body: problem.map_or(BodyView::None, BodyView::Problem) }
    }
}

/// What a batch asks for.
pub(super) struct Batch {
    items: Vec<Json>,
    is_atomic: bool,
}

/// Reads the fields of a batch.
pub(super) fn batch(fields: &mut Fields) -> Batch {
    let items = fields.list("items", MAX_ITEMS);
    fields.require("items", &items);
    let is_atomic = fields.flag("atomic");
    fields.refuse_the_rest();
    Batch { items: items.into_option().unwrap_or_default(), is_atomic }
}

/// What an item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Upsert,
    Update,
    Delete,
}

impl Op {
    const ALL: [Self; 4] = [Self::Create, Self::Upsert, Self::Update, Self::Delete];

    /// Their names.
    pub(super) const NAMES: [&str; 4] = ["create", "upsert", "update", "delete"];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().zip(Self::NAMES).find(|(_, known)| *known == name).map(|(op, _)| op)
    }
}

/// The members of an item around its body. What is wrong with them is a fault of a parameter, as if they were in a path.
struct Item {
    op: Op,
    id: Option<String>,
    external_id: Option<String>,
    body: Option<Json>,
}

fn read_item(tenant: Tenant, item: Json) -> Result<CustomerCommand, Failure> {
    let Item { op, id, external_id, body } = read_members(item)?;
    if op == Op::Delete {
        let key = key(tenant, id, external_id)?;
        return Ok(CustomerCommand::Delete(CustomerDeletion { key, precondition: Precondition::default() }));
    }
    let body = body.ok_or_else(|| fault("body", "required", "is required"))?;
    match op {
        Op::Create => Ok(match dto::read_registration(tenant, body)? {
            (registration, None) => CustomerCommand::Register(registration),
            (registration, Some(OnConflict::ReturnExisting)) => CustomerCommand::GetOrRegister(registration),
        }),
        Op::Upsert => {
            let external_id = external_id_of(external_id, &body)?;
            dto::read_upsert(tenant, external_id, Precondition::default(), body).map(CustomerCommand::Upsert)
        }
        Op::Update | Op::Delete => {
            let key = key(tenant, id, external_id)?;
            let edit = dto::read_edit(body, OnMetadata::Replace)?;
            Ok(CustomerCommand::Change(CustomerChange { key, edit, precondition: Precondition::default() }))
        }
    }
}

fn read_members(item: Json) -> Result<Item, Failure> {
    let Json::Object(mut members) = item else { return Err(fault("item", "wrong_type", "must be an object")) };
    let mut faults = Faults::default();
    let Some(op) = take_text(&mut members, "op", &mut faults).and_then(|name| Op::parse(&name)) else {
        return Err(fault("op", "invalid_op", &format!("must be one of {}", Op::NAMES.join(", "))));
    };
    let id = take_text(&mut members, "id", &mut faults);
    let external_id = take_text(&mut members, "external_id", &mut faults);
    let body = members.take("body").filter(|body| *body != Json::Null);
    let mut refuse = |is_given: bool, name, detail: &str| {
        if is_given {
            faults.add(|| Fault { place: Place::Parameter(name), code: "not_allowed", detail: detail.to_owned() });
        }
    };
    refuse(id.is_some() && matches!(op, Op::Create | Op::Upsert), "id", "must be left out: the service makes it");
    refuse(external_id.is_some() && op == Op::Create, "external_id", "must be in the body of a create");
    refuse(id.is_some() && external_id.is_some(), "external_id", "must be left out where id names the customer");
    refuse(body.is_some() && op == Op::Delete, "body", "must be left out of a delete");
    for (name, _) in members {
        let detail = "is not a member of an item".to_owned();
        faults.add(|| Fault { place: Place::UnknownParameter(name), code: "unknown_field", detail });
    }
    faults.check()?;
    Ok(Item { op, id, external_id, body })
}

fn take_text(members: &mut Object, name: &'static str, faults: &mut Faults) -> Option<String> {
    match members.take(name) {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(text),
        Some(_) => {
            let detail = "must be a string".to_owned();
            faults.add(|| Fault { place: Place::Parameter(name), code: "wrong_type", detail });
            None
        }
    }
}

/// The customer that an item names. A name that is malformed is answered as one that no customer has, as it is in a path.
fn key(tenant: Tenant, id: Option<String>, external_id: Option<String>) -> Result<CustomerKey, Failure> {
    let customer = match (id, external_id) {
        (Some(id), _) => CustomerRef::Id(CustomerId::parse(&id).map_err(|_| Failure::MalformedId)?),
        (None, Some(id)) => CustomerRef::ExternalId(ExternalId::parse(id).map_err(|_| Failure::NotFound)?),
        (None, None) => return Err(fault("id", "required", "or external_id is required")),
    };
    Ok(CustomerKey { tenant, customer })
}

/// The external identifier of an upsert: a member of the item, or a field of its body.
fn external_id_of(member: Option<String>, body: &Json) -> Result<ExternalId, Failure> {
    let in_body = || match body {
        Json::Object(fields) => match fields.get("external_id") {
            Some(Json::String(text)) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let text = member.or_else(in_body).ok_or_else(|| fault("external_id", "required", "is required"))?;
    ExternalId::parse(text).map_err(|rule| fault("external_id", rule.code(), &rule.to_string()))
}

fn fault(name: &'static str, code: &'static str, detail: &str) -> Failure {
    Fault { place: Place::Parameter(name), code, detail: detail.to_owned() }.into()
}
