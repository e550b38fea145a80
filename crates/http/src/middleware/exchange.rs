//! Follows each request on its connection, and makes an answer the last one where it has to be.

use std::future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::web::Bytes;

use crate::transport::exchange::Exchange;

/// Tells the connection of a request how far the request has come.
pub(crate) async fn follow<B: MessageBody + Unpin>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Followed<B>>, Error> {
    let exchange = request.conn_data::<Rc<Exchange>>().map(Rc::clone);
    if let Some(exchange) = &exchange {
        if exchange.is_last() {
            // The client has said, or was told, that the previous request is the last (RFC 9112 §9.6). The connection
            // ends as soon as the answer to that is written, and with it this future.
            return future::pending().await;
        }
        exchange.head_received();
        // actix-http would close a connection of another type after the answer without saying so: `Connection: upgrade`.
        if request.head().connection_type() != ConnectionType::KeepAlive {
            exchange.make_last();
        }
    }
    let answer = next.call(request).await;
    let mut response = answer.inspect_err(|_| {
        if let Some(exchange) = &exchange {
            exchange.answered();
        }
    })?;
    if let Some(exchange) = &exchange {
        make_last_if_due(&mut response, exchange);
    }
    Ok(response.map_body(|_, body| Followed { body, exchange }))
}

fn make_last_if_due<B: MessageBody>(response: &mut ServiceResponse<B>, exchange: &Exchange) {
    let is_old = response.request().version() < Version::HTTP_11;
    let is_streamed = response.response().body().size() == BodySize::Stream;
    let head = response.response_mut().head_mut();
    if is_old && is_streamed {
        // HTTP/1.0 has no chunks: the body ends with the connection (RFC 9112 §6.1, §6.3).
        head.no_chunking(true);
        exchange.make_last();
    }
    if exchange.is_stopping() {
        exchange.make_last();
    }
    if exchange.is_last() {
        head.set_connection_type(ConnectionType::Close);
    }
}

/// A body that tells its connection when all of it was given away.
pub(crate) struct Followed<B> {
    body: B,
    exchange: Option<Rc<Exchange>>,
}

impl<B: MessageBody + Unpin> MessageBody for Followed<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

impl<B> Drop for Followed<B> {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.answered();
        }
    }
}
