//! The business of the service: orders, kept in memory, each seen by its owner alone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{
        FromRequest, Path, Query, Request, State, rejection::JsonRejection, rejection::QueryRejection,
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use bartizan::{Reason, Rejection, excerpt};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};

use crate::owner::Owner;

/// What a caller sends. What it may be stands in `openapi.yaml`, and was judged before it gets here.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    email: String,
    #[serde(deserialize_with = "whole")]
    quantity: u32,
    product_id: String,
}

/// JSON has one kind of numbers: `2.0` is a whole one, as the document's `integer` has it.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = f64::deserialize(deserializer)?;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    if is_whole { Ok(number as u32) } else { Err(D::Error::custom("not a whole number")) }
}

/// What the service keeps.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    id: u64,
    #[serde(flatten)]
    order: NewOrder,
    #[serde(skip)]
    owner: Owner,
}

/// The most orders that are kept: this is a demonstration, and its memory is bounded all the same.
const MAX_ORDERS: usize = 10_000;

/// When a caller that found no room may try again.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Which orders of a caller are asked for. What each may be stands in `openapi.yaml`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    /// The most orders of an answer.
    limit: usize,
    /// The number of the last order that the caller has seen.
    cursor: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50, cursor: 0 }
    }
}

/// All orders. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// In the order of their ids.
    list: Arc<Mutex<Vec<Order>>>,
}

impl Orders {
    fn with<T>(&self, run: impl FnOnce(&mut Vec<Order>) -> T) -> T {
        run(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, owner: Owner, order: NewOrder) -> Result<Order, Rejection> {
        self.with(|list| {
            if list.len() >= MAX_ORDERS {
                return Err(no_room());
            }
            let id = list.last().map_or(1, |last| last.id + 1);
            let order = Order { id, order, owner };
            list.push(order.clone());
            Ok(order)
        })
    }

    /// An order of `owner`: to others it is not there.
    fn find(&self, owner: &Owner, id: u64) -> Option<Order> {
        self.with(|list| {
            let at = list.binary_search_by_key(&id, |order| order.id).ok()?;
            Some(&list[at]).filter(|order| order.owner == *owner).cloned()
        })
    }

    /// The orders of `owner` on a page, and where the next page begins, if there is one.
    fn page(&self, owner: &Owner, page: Page) -> (Vec<Order>, Option<Page>) {
        self.with(|list| {
            let unseen = list.partition_point(|order| order.id <= page.cursor);
            let mut own = list[unseen..].iter().filter(|order| order.owner == *owner);
            let orders: Vec<_> = own.by_ref().take(page.limit).cloned().collect();
            let next = own.next().and(orders.last()).map(|last| Page { cursor: last.id, ..page });
            (orders, next)
        })
    }
}

/// No order is ever taken away here: when there will be room, nobody knows.
fn no_room() -> Rejection {
    Rejection::new(Reason::Overloaded).with_detail("No room for more orders.").with_retry_after(RETRY_AFTER)
}

pub(crate) async fn list(
    State(orders): State<Orders>,
    owner: Owner,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<impl IntoResponse, Rejection> {
    let Query(page) = page.map_err(|_| Rejection::new(Reason::MalformedRequest))?;
    let (orders, next) = orders.page(&owner, page);
    // RFC 8288: where to go on.
    let link = next.and_then(|Page { limit, cursor }| {
        HeaderValue::try_from(format!("</v1/orders?limit={limit}&cursor={cursor}>; rel=\"next\"")).ok()
    });
    Ok((HeaderMap::from_iter(link.map(|link| (header::LINK, link))), Json(orders)))
}

pub(crate) async fn create(
    State(orders): State<Orders>,
    owner: Owner,
    JsonBody(order): JsonBody<NewOrder>,
) -> Result<impl IntoResponse, Rejection> {
    let order = orders.add(owner, order)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/orders/{}", order.id))], Json(order)))
}

pub(crate) async fn read(
    State(orders): State<Orders>,
    owner: Owner,
    Path(id): Path<String>,
) -> Result<Json<Order>, Rejection> {
    let found = id.parse().ok().and_then(|id| orders.find(&owner, id));
    found
        .map(Json)
        .ok_or_else(|| Rejection::new(Reason::RouteNotFound).with_detail("There is no such order."))
}

/// How full the service is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    orders: usize,
    max_orders: usize,
}

pub(crate) async fn stats(State(orders): State<Orders>) -> Json<Stats> {
    Json(Stats { orders: orders.with(|list| list.len()), max_orders: MAX_ORDERS })
}

pub(crate) async fn unknown() -> Rejection {
    Rejection::new(Reason::RouteNotFound)
}

/// axum's `Json`, refusing in this family's form: a handler may return a [`Rejection`] like any other response.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error) => Err(refuse(&error)),
        }
    }
}

fn refuse(error: &JsonRejection) -> Rejection {
    // The text of serde_json speaks of the caller's own document; of anything else we say nothing.
    let detail = || excerpt(&error.body_text()).into_owned();
    match error {
        JsonRejection::MissingJsonContentType(_) => Rejection::new(Reason::UnsupportedMediaType)
            .with_header(header::ACCEPT, HeaderValue::from_static("application/json")),
        JsonRejection::JsonSyntaxError(_) => Rejection::new(Reason::MalformedRequest).with_detail(detail()),
        JsonRejection::JsonDataError(_) => Rejection::new(Reason::SchemaViolation).with_detail(detail()),
        other => Rejection::new(Reason::from_status(other.status())),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use bartizan::Principal;

    use super::*;

    fn ada() -> Owner {
        Owner::of(&Principal::user("ada").build())
    }

    fn order() -> NewOrder {
        NewOrder { email: "ada@example.com".to_owned(), quantity: 1, product_id: "sku-1".to_owned() }
    }

    #[test]
    fn an_order_that_was_created_is_there() {
        const THREADS: usize = 4;
        const EACH: usize = 2000;

        let orders = Orders::default();
        let add = || (0..EACH).map(|_| orders.add(ada(), order()).unwrap().id).collect::<Vec<_>>();
        let ids: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(add)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), THREADS * EACH, "each has its own");
        let missing: Vec<_> = ids.iter().filter(|id| orders.find(&ada(), **id).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn where_there_is_no_room_one_may_try_again_later() {
        let orders = Orders::default();
        for _ in 0..MAX_ORDERS {
            orders.add(ada(), order()).unwrap();
        }
        let refused = orders.add(ada(), order()).unwrap_err();
        assert_eq!((refused.reason(), refused.retry_after()), (Reason::Overloaded, Some(RETRY_AFTER)));
    }
}
