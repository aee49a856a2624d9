//! Tests that cross crates, with real servers and real clients. This library holds what they share.

/// The README of the project, whose examples must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub enum Readme {}

/// The generated inventory service.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated"
)]
pub mod inventory {
    tonic::include_proto!("inventory.v1");
}

/// The generated inventory service again, which refuses messages that break their rules.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated"
)]
pub mod validated {
    include!(concat!(env!("OUT_DIR"), "/validated/inventory.v1.rs"));
}

/// The generated inventory service again, which only reports such messages.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated"
)]
pub mod reported {
    include!(concat!(env!("OUT_DIR"), "/reported/inventory.v1.rs"));
}

use std::pin::Pin;

use bartizan::validate::{MessageFindings, ValidateMessage};
use inventory::{ReserveReply, ReserveRequest, StockLevel, WatchRequest, inventory_server::Inventory};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

impl ValidateMessage for ReserveRequest {
    fn validate(&self, found: &mut MessageFindings<'_>) {
        if self.sku.is_empty() {
            found.add("sku", "string_min_len", "must not be empty");
        }
        if self.quantity == 0 {
            found.add("quantity", "uint32_gt", "must be more than 0");
        }
    }
}

impl ValidateMessage for WatchRequest {}

impl ValidateMessage for StockLevel {
    fn validate(&self, found: &mut MessageFindings<'_>) {
        if self.quantity > 1000 {
            found.add("quantity", "uint32_lte", "must be at most 1000");
        }
    }
}

/// An inventory of ten of everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenOfEverything;

type Levels = Pin<Box<dyn Stream<Item = Result<StockLevel, Status>> + Send>>;

#[tonic::async_trait]
impl Inventory for TenOfEverything {
    type WatchStream = Levels;
    type RecountStream = Levels;

    /// Panics on the sku `boom`, and never answers on the sku `never`.
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        let ReserveRequest { sku, quantity } = request.into_inner();
        match sku.as_str() {
            "boom" => panic!("the shelf fell over"),
            "never" => std::future::pending().await,
            _ => {}
        }
        match 10_u32.checked_sub(quantity) {
            Some(left) => Ok(Response::new(ReserveReply { left })),
            None => Err(Status::failed_precondition("not enough in stock")),
        }
    }

    /// Counts down, and fails with `ABORTED` after the last update on the sku `broken`.
    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Levels>, Status> {
        let WatchRequest { sku, updates } = request.into_inner();
        let broken = sku == "broken";
        let levels = (0..updates).rev().map(move |quantity| Ok(StockLevel { sku: sku.clone(), quantity }));
        let end = broken.then(|| Err(Status::aborted("the scanner broke")));
        Ok(Response::new(Box::pin(tokio_stream::iter(levels.chain(end)))))
    }

    /// Doubles each level as it comes.
    async fn recount(&self, request: Request<Streaming<StockLevel>>) -> Result<Response<Levels>, Status> {
        let doubled = request.into_inner().map(|level| {
            level.map(|StockLevel { sku, quantity }| StockLevel { sku, quantity: quantity.saturating_mul(2) })
        });
        Ok(Response::new(Box::pin(doubled)))
    }
}
