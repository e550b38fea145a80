//! The paths of the Lava surface.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use roster_application::ports::{CustomerKey, StoreError, Taken};
use roster_application::{RegisterError, Roster};
use roster_domain::{Customer, Subscription, Tenant};

use super::dto::{self, CustomerView, PageView, SubscriptionEnvelope, SubscriptionView, Success};
use super::error::{Error, answer};
use crate::auth::Caller;
use crate::failure::Failure;
use crate::query::{self, PageQuery, Unknown};
use crate::respond::json;
use crate::routing::{Surface, delete, get, patch, post};
use crate::{body, openapi, path};

/// The Lava surface.
pub(crate) fn surface() -> Surface {
    Surface::new("/lava/v1", answer)
        .resource("/customers", vec![get(list), post(create)])
        .resource("/customers/{customer_id}", vec![get(show), patch(change), delete(remove)])
        .resource("/customers/{customer_id}/subscription", vec![get(show_subscription)])
        .resource("/openapi.json", vec![openapi::show(openapi::LAVA)])
}

/// A customer, and the active subscription that started last.
type Shown = (Customer, Option<Subscription>);

async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::of(&request).await?;
    let body = body::read(&request).map_err(Failure::from)?;
    let registration = dto::read_registration(caller.tenant(), body)?;
    match caller.register_customer(registration).await? {
        Ok(customer) => Ok(answer_with(StatusCode::CREATED, &(customer, None))),
        // A `reference_id` is an idempotency key: whoever comes second gets the customer that is there, unchanged.
        Err(RegisterError::Taken(Taken { external_id: Some(customer), .. })) => {
            let shown = caller.run(move |roster| with_subscription(roster, *customer)).await?.map_err(Failure::from)?;
            Ok(answer_with(StatusCode::OK, &shown))
        }
        Err(error) => Err(Failure::of_register(error, Failure::email_first).into()),
    }
}

async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let shown = find(&request).await?;
    Ok(answer_with(StatusCode::OK, &shown))
}

async fn show_subscription(request: HttpRequest) -> Result<HttpResponse, Error> {
    let (_, subscription) = find(&request).await?;
    let subscription = subscription.as_ref().map(SubscriptionView::from);
    Ok(json(StatusCode::OK, &SubscriptionEnvelope { subscription }))
}

async fn find(request: &HttpRequest) -> Result<Shown, Failure> {
    let caller = Caller::of(request).await?;
    let key = key(request, caller.tenant())?;
    let customer = caller.find_customer(key).await?;
    Ok(caller.run(move |roster| with_subscription(roster, customer)).await??)
}

async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::of(&request).await?;
    let PageQuery { size, cursor } = PageQuery::read(&request, Unknown::Ignore, query::parse_cursor)?;
    let tenant = caller.tenant();
    let read = move |roster: &Roster| {
        let page = roster.list_customers(tenant, cursor, size)?;
        let customers: Vec<_> = page.items.iter().map(Customer::id).collect();
        let subscriptions = roster.current_subscriptions(tenant, &customers)?;
        Ok::<_, StoreError>((page, subscriptions))
    };
    let (page, subscriptions) = caller.run(read).await?.map_err(Failure::from)?;
    let shown = page.items.iter().zip(&subscriptions);
    let data = shown.map(|(customer, subscription)| CustomerView::of(customer, subscription.as_ref())).collect();
    let next = page.items.last().filter(|_| page.has_more).map(|last| query::cursor_behind(last.id()));
    Ok(json(StatusCode::OK, &PageView { data, has_more: page.has_more, next_cursor: next }))
}

async fn change(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    let body = body::read(&request).map_err(Failure::from)?;
    let edit = dto::read_edit(body)?;
    let change = move |roster: &Roster| {
        let customer = roster
            .change_customer(&key, &edit)
            .map_err(|error| Failure::of_change(error, Failure::external_id_first))?;
        Ok::<_, Failure>(with_subscription(roster, customer)?)
    };
    Ok(answer_with(StatusCode::OK, &caller.run(change).await??))
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    caller.run(move |roster| roster.delete_customer(&key)).await?.map_err(Failure::from)?;
    Ok(json(StatusCode::OK, &Success { success: true }))
}

fn with_subscription(roster: &Roster, customer: Customer) -> Result<Shown, StoreError> {
    let subscription = roster.current_subscriptions(customer.tenant(), &[customer.id()])?.pop().flatten();
    Ok((customer, subscription))
}

fn answer_with(status: StatusCode, (customer, subscription): &Shown) -> HttpResponse {
    json(status, &CustomerView::of(customer, subscription.as_ref()))
}

fn key(request: &HttpRequest, tenant: Tenant) -> Result<CustomerKey, Failure> {
    let text = path::segment(request, "customer_id").ok_or(Failure::MalformedId)?;
    let customer = dto::parse_customer_ref(tenant, text).ok_or(Failure::MalformedId)?;
    Ok(CustomerKey { tenant, customer })
}
