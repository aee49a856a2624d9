//! What most services need, in one `use`: the stack, every layer of the enabled features, and their first settings.

#[cfg(feature = "access-log")]
pub use bartizan_access_log::AccessLogLayer;
#[cfg(feature = "auth")]
pub use bartizan_auth::{
    ApiKey, ApiKeyLayer, AuthLayer, AuthorizeLayer, BearerLayer, JwtLayer, KeySet, Require, RequireLayer,
    StaticKeys, TokenClaims, TokenPolicy,
};
#[cfg(feature = "bulkhead")]
pub use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer};
#[cfg(feature = "circuit-breaker")]
pub use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer};
#[cfg(feature = "client-addr")]
pub use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, TrustedProxies};
pub use bartizan_core::{
    ClientAddr, Clock, CorrelationId, NormalizeLayer, Principal, ProblemLayer, Reason, Rejection,
    RejectionToErrorLayer, RequestContext, RequestId, fact, phase,
};
#[cfg(feature = "correlation-id")]
pub use bartizan_correlation_id::{
    ClientSpanLayer, CorrelationIdLayer, LogicalCallLayer, PropagateLayer, TraceContextLayer, Trust,
};
#[cfg(feature = "deadline")]
pub use bartizan_deadline::{OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimeoutLayer};
#[cfg(feature = "metrics")]
pub use bartizan_metrics::{ClientMetricsLayer, MetricsLayer};
#[cfg(feature = "outbound-limit")]
pub use bartizan_rate_limit::OutboundRateLimitLayer;
#[cfg(feature = "rate-limit")]
pub use bartizan_rate_limit::{
    ConcurrencyLimitLayer, HeaderFields, PerClientAddr, PerPrincipal, PerTenant, Rate, RateLimitLayer,
};
#[cfg(feature = "rate-limit-redis")]
pub use bartizan_rate_limit::{RedisRateLimitLayer, RedisStore};
#[cfg(feature = "retry")]
pub use bartizan_retry::{HedgeLayer, InboundRetryLayer, RetryLayer};
#[cfg(feature = "upload")]
pub use bartizan_upload::{AllowList, FileType, Upload, UploadLayer};
#[cfg(feature = "json-schema")]
pub use bartizan_validate::{ClientResponseSchemaLayer, JsonSchema, JsonSchemaLayer, ResponseSchemaLayer};
#[cfg(feature = "validate")]
pub use bartizan_validate::{JsonLayer, ValidateJsonLayer};
#[cfg(feature = "openapi")]
pub use bartizan_validate::{OpenApi, OpenApiLayer};
#[cfg(all(feature = "axum", feature = "validate"))]
pub use bartizan_validate::{Valid, ValidForm, ValidPath, ValidQuery};

#[cfg(feature = "reqwest")]
pub use crate::HttpReqwest;
#[cfg(feature = "recommended")]
pub use crate::Recommended;
pub use crate::Stack;
#[cfg(feature = "tonic")]
pub use crate::{GrpcChannel, GrpcStack};
