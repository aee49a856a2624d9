//! What is in stock, in memory.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use bartizan::validate::{MessageFindings, ValidateMessage, check_message};
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::proto::{GetStockRequest, ReserveRequest, Stock, WatchStockRequest, inventory_server::Inventory};

/// The stock of a few products: `sku-1` to `sku-3`, a hundred of each. Clones share it.
#[derive(Clone, Debug)]
pub struct Shelf {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Those who watch a product share its level, so that none of them has a queue that could grow.
    levels: HashMap<&'static str, watch::Sender<u32>>,
    closed: watch::Sender<bool>,
}

impl Default for Shelf {
    fn default() -> Self {
        let levels = ["sku-1", "sku-2", "sku-3"].map(|sku| (sku, watch::Sender::new(100))).into();
        Self { shared: Arc::new(Shared { levels, closed: watch::Sender::new(false) }) }
    }
}

impl Shelf {
    /// Ends all watching, with a status that tells callers to ask again: else a stop would wait for them.
    pub fn close(&self) {
        self.shared.closed.send_replace(true);
    }

    /// Whether it was closed: the service stops.
    pub fn is_closed(&self) -> bool {
        *self.shared.closed.borrow()
    }

    fn level(&self, sku: &str) -> Result<&watch::Sender<u32>, Status> {
        self.shared.levels.get(sku).ok_or_else(|| Status::not_found("no such product"))
    }
}

/// What a watcher is told, from what is there now on.
struct News {
    sku: String,
    level: watch::Receiver<u32>,
    closed: watch::Receiver<bool>,
}

impl News {
    async fn next(&mut self) -> Result<Stock, Status> {
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Err(Status::unavailable("the service stops")),
            _ = self.level.changed() => {
                let quantity = *self.level.borrow_and_update();
                Ok(Stock { sku: self.sku.clone(), quantity })
            }
        }
    }
}

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

#[tonic::async_trait]
impl Inventory for Shelf {
    async fn get_stock(&self, request: Request<GetStockRequest>) -> Result<Response<Stock>, Status> {
        let GetStockRequest { sku } = request.into_inner();
        let quantity = *self.level(&sku)?.borrow();
        Ok(Response::new(Stock { sku, quantity }))
    }

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<Stock>, Status> {
        check_message(request.get_ref())?;
        let ReserveRequest { sku, quantity } = request.into_inner();
        let mut left = None;
        self.level(&sku)?.send_if_modified(|level| {
            left = level.checked_sub(quantity);
            *level = left.unwrap_or(*level);
            left.is_some()
        });
        let quantity = left.ok_or_else(|| Status::failed_precondition("not enough in stock"))?;
        Ok(Response::new(Stock { sku, quantity }))
    }

    type WatchStockStream = Pin<Box<dyn Stream<Item = Result<Stock, Status>> + Send>>;

    async fn watch_stock(
        &self,
        request: Request<WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        let WatchStockRequest { sku } = request.into_inner();
        let mut level = self.level(&sku)?.subscribe();
        // What is there now is the first news.
        level.mark_changed();
        let news = News { sku, level, closed: self.shared.closed.subscribe() };
        let news = stream::unfold(Some(news), |news| async move {
            let mut news = news?;
            let told = news.next().await;
            let more = told.is_ok().then_some(news);
            Some((told, more))
        });
        Ok(Response::new(Box::pin(news)))
    }
}
