//! What fetching keys and fetching tokens have in common: where to, how, how often, and who waits.

mod client;
mod endpoint;
#[cfg(feature = "https-client")]
mod https;
mod pace;
mod shared;
mod tally;
#[cfg(feature = "https-client")]
mod target;

#[cfg(feature = "https-client")]
pub use self::https::{HttpsClient, HttpsClientError, HttpsClientFuture};
pub use self::shared::FetchWait;
#[cfg(feature = "metrics")]
pub(crate) use self::tally::metric::Metric;
#[cfg(feature = "tracing")]
pub(crate) use self::tally::text_of;
pub(crate) use self::{
    client::{Fetch, FetchError, HttpService},
    endpoint::Endpoint,
    pace::{Jitter, Pace},
    shared::{Flights, bounded},
    tally::Tally,
};
