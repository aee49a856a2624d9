//! The response body of a service behind a breaker.

use bartizan_core::{HeadSeen, ObservedBody, ResponseBody};

use crate::guard::Guard;

/// The inner service's body, seen to its end; or a refusal's, or a fallback's.
pub type BreakerBody<B> = ObservedBody<ResponseBody<B>, HeadSeen<Guard>>;
