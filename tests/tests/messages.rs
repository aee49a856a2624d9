//! Messages that know their rules, on a real tonic server, seen by a real tonic client.

use std::{error::Error, pin::Pin};

use bartizan::validate::{ValidatedStream, check_message};
use bartizan_tests::{
    TenOfEverything,
    inventory::{
        ReserveReply, ReserveRequest, StockLevel, WatchRequest,
        inventory_client::InventoryClient,
        inventory_server::{Inventory, InventoryServer},
    },
    reported, validated,
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    transport::{Channel, Server},
};
use tonic_types::StatusExt;

async fn serve<S>(service: S) -> Result<InventoryClient<Channel>, Box<dyn Error>>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible>,
    S: NamedService + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Ok(InventoryClient::new(Channel::from_shared(target)?.connect().await?))
}

type Levels = Pin<Box<dyn Stream<Item = Result<StockLevel, Status>> + Send>>;

/// The inventory, generated with another codec.
macro_rules! generated_with {
    ($module:ident) => {
        #[tonic::async_trait]
        impl $module::inventory_server::Inventory for TheSame {
            type WatchStream = Levels;
            type RecountStream = Levels;

            async fn reserve(
                &self,
                request: Request<ReserveRequest>,
            ) -> Result<Response<ReserveReply>, Status> {
                TenOfEverything.reserve(request).await
            }

            async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Levels>, Status> {
                TenOfEverything.watch(request).await
            }

            async fn recount(
                &self,
                request: Request<Streaming<StockLevel>>,
            ) -> Result<Response<Levels>, Status> {
                TenOfEverything.recount(request).await
            }
        }
    };
}

struct TheSame;

generated_with!(validated);
generated_with!(reported);

/// The inventory, whose generated code is as it is: the handlers check.
struct ByHand;

#[tonic::async_trait]
impl Inventory for ByHand {
    type WatchStream = Levels;
    type RecountStream = Levels;

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        check_message(request.get_ref())?;
        TenOfEverything.reserve(request).await
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Levels>, Status> {
        TenOfEverything.watch(request).await
    }

    async fn recount(&self, request: Request<Streaming<StockLevel>>) -> Result<Response<Levels>, Status> {
        Ok(Response::new(Box::pin(ValidatedStream::new(request.into_inner()))))
    }
}

fn order(sku: &str, quantity: u32) -> ReserveRequest {
    ReserveRequest { sku: sku.to_owned(), quantity }
}

fn level(quantity: u32) -> StockLevel {
    StockLevel { sku: "nail".to_owned(), quantity }
}

/// Each violation as `field REASON`.
fn violations(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().expect("a BadRequest");
    let text = |violation: &tonic_types::FieldViolation| {
        assert!(!violation.description.is_empty());
        violation.field.clone()
    };
    details.field_violations.iter().map(text).collect()
}

async fn refuses_and_fails_streams(mut client: InventoryClient<Channel>) -> Result<(), Box<dyn Error>> {
    assert_eq!(client.reserve(order("nail", 3)).await?.into_inner().left, 7);
    let status = client.reserve(order("", 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(violations(&status), ["sku", "quantity"]);

    // The good one before it was answered, and nothing after it.
    let levels = [level(1), level(2000), level(3)];
    let mut answers = client.recount(tokio_stream::iter(levels)).await?.into_inner();
    assert!(answers.message().await?.is_some());
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(violations(&status), ["quantity"]);
    assert!(answers.next().await.is_none());
    Ok(())
}

#[tokio::test]
async fn val_07_the_codec_refuses_a_message_and_fails_a_stream_at_it() -> Result<(), Box<dyn Error>> {
    refuses_and_fails_streams(serve(validated::inventory_server::InventoryServer::new(TheSame)).await?).await
}

#[tokio::test]
async fn val_07_a_handler_refuses_a_message_and_fails_a_stream_at_it() -> Result<(), Box<dyn Error>> {
    refuses_and_fails_streams(serve(InventoryServer::new(ByHand)).await?).await
}

#[tokio::test]
async fn val_07_report_only_hands_the_message_on() -> Result<(), Box<dyn Error>> {
    let mut client = serve(reported::inventory_server::InventoryServer::new(TheSame)).await?;
    assert_eq!(client.reserve(order("", 0)).await?.into_inner().left, 10);
    let levels = tokio_stream::iter([level(2000), level(1)]);
    let answers = client.recount(levels).await?.into_inner();
    let quantities: Vec<_> = answers.map(|level| level.map(|level| level.quantity)).collect().await;
    assert_eq!(quantities.into_iter().collect::<Result<Vec<_>, _>>()?, [4000, 2]);
    Ok(())
}
