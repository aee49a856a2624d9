//! What most services need, in one `use`: the stack, the layers of the enabled features, and their first settings.

#[cfg(feature = "access-log")]
pub use bartizan_access_log::AccessLogLayer;
#[cfg(feature = "auth")]
pub use bartizan_auth::{
    ApiKey, ApiKeyLayer, AuthLayer, AuthorizeLayer, JwtLayer, KeySet, Require, RequireLayer, StaticKeys,
    TokenPolicy,
};
#[cfg(feature = "bulkhead")]
pub use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer};
#[cfg(feature = "circuit-breaker")]
pub use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer};
#[cfg(feature = "client-addr")]
pub use bartizan_client_addr::ClientAddrLayer;
pub use bartizan_core::{
    NormalizeLayer, Principal, ProblemLayer, Reason, Rejection, RequestContext, fact, phase,
};
#[cfg(feature = "correlation-id")]
pub use bartizan_correlation_id::{CorrelationIdLayer, PropagateLayer, TraceContextLayer};
#[cfg(feature = "deadline")]
pub use bartizan_deadline::{OutboundTimeoutLayer, TimeoutLayer};
#[cfg(feature = "metrics")]
pub use bartizan_metrics::{ClientMetricsLayer, MetricsLayer};
#[cfg(feature = "rate-limit")]
pub use bartizan_rate_limit::{PerClientAddr, PerPrincipal, Rate, RateLimitLayer};
#[cfg(feature = "retry")]
pub use bartizan_retry::RetryLayer;
#[cfg(feature = "upload")]
pub use bartizan_upload::{AllowList, FileType, UploadLayer};
#[cfg(feature = "json-schema")]
pub use bartizan_validate::{ClientResponseSchemaLayer, JsonSchema, JsonSchemaLayer, ResponseSchemaLayer};
#[cfg(feature = "validate")]
pub use bartizan_validate::{JsonLayer, ValidateJsonLayer};
#[cfg(feature = "openapi")]
pub use bartizan_validate::{OpenApi, OpenApiLayer};

pub use crate::Stack;
