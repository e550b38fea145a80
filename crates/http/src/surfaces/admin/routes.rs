//! The paths of the surface of operators.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use roster_application::MerchantChange;
use roster_domain::{ApiKeyId, Merchant, MerchantId};

use super::describe;
use super::dto::{self, LogEntryView, MerchantView, ServiceInformation, ServiceView};
use super::error::{Error, answer};
use crate::api_keys::{ApiKeyView, NewApiKeyView};
use crate::failure::Failure;
use crate::openapi;
use crate::paging::shown;
use crate::request::operator_caller::{OperatorCaller, ReadAdmin, WriteAdmin, require_operators};
use crate::request::query::PageQuery;
use crate::request::{body, path};
use crate::respond::json;
use crate::routing::{Surface, delete, get, patch, post};

/// The surface of operators.
pub(crate) fn surface() -> Surface {
    Surface::new(super::BASE, answer)
        .showing_limits()
        .behind(|request| require_operators(request).boxed_local())
        .resource(
            "/merchants",
            vec![
                get(list_merchants).described(describe::list_merchants),
                post(create_merchant).described(describe::create_merchant),
            ],
        )
        .resource(
            "/merchants/{id}",
            vec![
                get(show_merchant).described(describe::get_merchant),
                patch(rename_merchant).described(describe::rename_merchant),
            ],
        )
        .resource("/merchants/{id}/disable", vec![post(disable_merchant).described(describe::disable_merchant)])
        .resource("/merchants/{id}/enable", vec![post(enable_merchant).described(describe::enable_merchant)])
        .resource(
            "/merchants/{id}/api_keys",
            vec![
                get(list_api_keys).described(describe::list_api_keys),
                post(create_api_key).described(describe::create_api_key),
            ],
        )
        .resource("/merchants/{id}/api_keys/{key_id}", vec![delete(revoke_api_key).described(describe::revoke_api_key)])
        .resource(
            "/merchants/{id}/api_keys/{key_id}/rotate",
            vec![post(rotate_api_key).described(describe::rotate_api_key)],
        )
        .resource("/log", vec![get(list_log).described(describe::list_log)])
        .resource("/service", vec![get(show_service).described(describe::get_service)])
        .resource("/openapi.json", vec![openapi::show(super::OPENAPI)])
}

async fn list_merchants(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<ReadAdmin>::of(&request).await?;
    let (search, page) = dto::read_merchant_list(&request)?;
    let page = caller.list_merchants(search, page).await?;
    Ok(shown(&request, &page, MerchantView::from))
}

async fn create_merchant(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(&request).await?;
    let name = dto::read_name(body::read(&request).map_err(Failure::from)?)?;
    let merchant = caller.create_merchant(name).await?;
    let mut response = json(StatusCode::CREATED, &MerchantView::from(&merchant));
    if let Ok(location) = header::HeaderValue::try_from(format!("{}/merchants/{}", super::BASE, merchant.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn show_merchant(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<ReadAdmin>::of(&request).await?;
    Ok(found(&caller.find_merchant(merchant_id(&request)?).await?))
}

async fn rename_merchant(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(&request).await?;
    let id = merchant_id(&request)?;
    let name = dto::read_name(body::read(&request).map_err(Failure::from)?)?;
    Ok(found(&caller.change_merchant(id, MerchantChange::Rename(name)).await?))
}

async fn disable_merchant(request: HttpRequest) -> Result<HttpResponse, Error> {
    change(&request, MerchantChange::Disable).await
}

async fn enable_merchant(request: HttpRequest) -> Result<HttpResponse, Error> {
    change(&request, MerchantChange::Enable).await
}

async fn change(request: &HttpRequest, change: MerchantChange) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(request).await?;
    Ok(found(&caller.change_merchant(merchant_id(request)?, change).await?))
}

async fn list_api_keys(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<ReadAdmin>::of(&request).await?;
    let merchant = merchant_id(&request)?;
    let (environment, page) = dto::read_key_list(&request)?;
    let page = caller.list_api_keys(merchant, environment, page).await?;
    Ok(shown(&request, &page, |key| ApiKeyView::of(key, None)))
}

async fn create_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(&request).await?;
    let merchant = merchant_id(&request)?;
    let order = dto::read_api_key_order(merchant, body::read(&request).map_err(Failure::from)?)?;
    let created = caller.create_api_key(order).await?;
    Ok(json(StatusCode::CREATED, &NewApiKeyView::from(&created)))
}

async fn revoke_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(&request).await?;
    let (merchant, id) = named_key(&request)?;
    caller.revoke_api_key(merchant, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn rotate_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<WriteAdmin>::of(&request).await?;
    let (merchant, id) = named_key(&request)?;
    let overlap = dto::read_overlap(body::read_optional(&request).map_err(Failure::from)?)?;
    let created = caller.rotate_api_key(merchant, id, overlap).await?;
    Ok(json(StatusCode::CREATED, &NewApiKeyView::from(&created)))
}

async fn list_log(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<ReadAdmin>::of(&request).await?;
    let page = caller.list_log(PageQuery::read(&request)?).await?;
    Ok(shown(&request, &page, LogEntryView::from))
}

async fn show_service(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = OperatorCaller::<ReadAdmin>::of(&request).await?;
    let service = request.app_data::<web::Data<ServiceInformation>>().ok_or(Failure::Internal)?;
    Ok(json(StatusCode::OK, &ServiceView::of(service, caller.principal(), caller.now())))
}

fn found(merchant: &Merchant) -> HttpResponse {
    json(StatusCode::OK, &MerchantView::from(merchant))
}

fn merchant_id(request: &HttpRequest) -> Result<MerchantId, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::MerchantNotFound)?;
    MerchantId::parse(&id).map_err(|_| Failure::MerchantNotFound)
}

/// The key of a merchant that a path names. There is no such key if there is no such merchant.
fn named_key(request: &HttpRequest) -> Result<(MerchantId, ApiKeyId), Failure> {
    let merchant = merchant_id(request).map_err(|_| Failure::KeyNotFound)?;
    let id = path::segment(request, "key_id").ok_or(Failure::KeyNotFound)?;
    Ok((merchant, ApiKeyId::parse(&id).map_err(|_| Failure::KeyNotFound)?))
}
