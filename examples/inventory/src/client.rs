//! A client behind the recommended stack.

use std::{error::Error, fmt::Write as _, iter::successors};

use bartizan::{GrpcChannel, GrpcCode, GrpcStack, Recommended, RecommendedError, RecommendedStack, Stack};
use inventory::proto::{
    GetStockRequest, ReserveRequest, Stock, WatchStockRequest, inventory_client::InventoryClient,
};
use tonic::{
    Request, Status,
    codegen::http::HeaderValue,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt as _;
use tower::Layer as _;

use crate::cli::{CallArgs, Method};

/// Makes the call and prints its answer.
///
/// # Errors
///
/// What went wrong, for a person to read.
pub(crate) async fn run(CallArgs { to, key, method }: CallArgs) -> Result<(), String> {
    let stack = stack(&method).map_err(|error| error.to_string())?;
    let channel = Channel::builder(to.clone()).connect_lazy();
    let service = GrpcStack::new(stack.build().layer(GrpcChannel::new(channel)));
    // Breakers are by host: without the origin the stack would not know it.
    let mut client = InventoryClient::with_origin(service, to);
    let key = secret(&key)?;
    let answered = match method {
        Method::Get { sku } => client.get_stock(with(key, GetStockRequest { sku })).await.map(print_reply),
        Method::Reserve { sku, quantity } => {
            client.reserve(with(key, ReserveRequest { sku, quantity })).await.map(print_reply)
        }
        Method::Watch { sku } => watch(&mut client, with(key, WatchStockRequest { sku })).await,
    };
    answered.map_err(|status| refusal(&status))
}

/// What most calls want; a product is watched for as long as the service lets.
fn stack(method: &Method) -> Result<RecommendedStack, RecommendedError> {
    match method {
        Method::Get { .. } | Method::Reserve { .. } => Stack::client().recommended("inventory"),
        Method::Watch { .. } => {
            let settings = Recommended::new("inventory")?
                .with_total_timeout(inventory::WATCH)?
                .with_attempt_timeout(inventory::WATCH)?;
            Ok(Stack::client().recommended_with(settings))
        }
    }
}

fn secret(key: &str) -> Result<Option<MetadataValue<Ascii>>, String> {
    if key.is_empty() {
        return Ok(None);
    }
    let mut key: MetadataValue<Ascii> = key.parse().map_err(|_| "--key: has a character that no key has")?;
    key.set_sensitive(true);
    Ok(Some(key))
}

fn with<T>(key: Option<MetadataValue<Ascii>>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(key) = key {
        request.metadata_mut().insert("x-api-key", key);
    }
    request
}

async fn watch(
    client: &mut InventoryClient<GrpcStack>,
    request: Request<WatchStockRequest>,
) -> Result<(), Status> {
    let mut news = client.watch_stock(request).await?.into_inner();
    while let Some(stock) = news.message().await? {
        print(&stock);
    }
    Ok(())
}

fn print_reply(reply: tonic::Response<Stock>) {
    print(&reply.into_inner());
}

fn print(Stock { sku, quantity }: &Stock) {
    println!("{sku}: {quantity}");
}

/// What is wrong, by which id it is found in the log of the service, and when to come back.
fn refusal(status: &Status) -> String {
    let details = status.get_error_details();
    let number = HeaderValue::from(i32::from(status.code()));
    let mut text = GrpcCode::from_header(&number).as_str().to_owned();
    if let Some(info) = details.error_info() {
        let _ = write!(text, " ({})", info.reason);
    }
    let _ = write!(text, ": {}", status.message());
    for violation in details.bad_request().map(|bad| &bad.field_violations[..]).unwrap_or_default() {
        let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
    }
    // A status without an answer, as of a service that is not there, has the reason at the root of its sources.
    if let Some(root) = successors(status.source(), |&error| error.source()).last() {
        let _ = write!(text, "\n  because: {root}");
    }
    if let Some(id) = status.metadata().get("x-request-id").and_then(|id| id.to_str().ok()) {
        let _ = write!(text, "\n  request id: {id}");
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let _ = write!(text, "\n  retry after: {:.3} s", delay.as_secs_f64());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_says_its_code_its_reason_its_id_and_when_to_come_back() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("RATE_LIMITED", "inventory.example.com", std::collections::HashMap::new())
            .set_retry_info(Some(Duration::from_millis(1_250)));
        let mut status = Status::with_error_details(Code::ResourceExhausted, "too many calls", details);
        status.metadata_mut().insert("x-request-id", MetadataValue::from_static("call-1"));
        let text =
            "RESOURCE_EXHAUSTED (RATE_LIMITED): too many calls\n  request id: call-1\n  retry after: 1.250 s";
        assert_eq!(refusal(&status), text);
    }

    #[test]
    fn no_key_is_none_and_a_broken_one_is_not_repeated() {
        assert_eq!(secret(""), Ok(None));
        assert!(secret("inventory_dev_1").unwrap().unwrap().is_sensitive());
        assert!(!secret("secret\n").unwrap_err().contains("secret"));
    }
}
