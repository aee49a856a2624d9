//! The phases of a stack, outside to inside.
//!
//! A layer names its phase as an associated type; a checked stack accepts a layer when its phase is the phase of
//! the layer before it, or one further in. A phase may repeat.

/// A place in the order of a stack.
pub trait Phase {
    /// The name, as `Stack::describe` prints it.
    const NAME: &'static str;
}

/// Holds when a layer of phase `Self` may stand directly inside a layer of phase `Outer`.
#[diagnostic::on_unimplemented(
    message = "this layer belongs to phase `{Self}`, which lies outside phase `{Outer}` of the layer pushed before it",
    label = "pushed too late",
    note = "`push` is top-down, and the first pushed sees the request first: push this layer before the layers of phase `{Outer}`"
)]
pub trait After<Outer> {}

/// Before the first layer: any phase may follow.
#[derive(Debug)]
pub enum Start {}

impl Phase for Start {
    const NAME: &'static str = "start";
}

impl After<Self> for Start {}

macro_rules! ladder {
    ($($(#[$doc:meta])* $phase:ident = $name:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $phase {}

            impl Phase for $phase {
                const NAME: &'static str = $name;
            }

            impl After<Start> for $phase {}
        )*
        ladder!(@rungs $($phase)*);
    };
    (@rungs) => {};
    (@rungs $outer:ident $($inner:ident)*) => {
        impl After<Self> for $outer {}
        $(impl After<$outer> for $inner {})*
        ladder!(@rungs $($inner)*);
    };
}

ladder! {
    /// How refusals look: outermost.
    Problem = "problem";
    /// Request and correlation ids.
    Correlation = "correlation";
    /// Trace context and spans.
    Trace = "trace";
    /// Metrics.
    Metrics = "metrics";
    /// The access log.
    AccessLog = "access_log";
    /// Panics and foreign errors become refusals, so that the observers outside see the real status.
    Normalize = "normalize";
    /// Security headers.
    SecurityHeaders = "security_headers";
    /// CORS, which answers preflights before authentication.
    Cors = "cors";
    /// Deadlines and body sizes.
    Deadline = "deadline";
    /// Load: adaptive limits, bulkheads, breakers.
    Load = "load";
    /// The client's address.
    Address = "address";
    /// Limits by address.
    AddressLimit = "address_limit";
    /// Who the caller is.
    Authentication = "authentication";
    /// Limits by principal.
    PrincipalLimit = "principal_limit";
    /// Bulkheads by principal or tenant.
    PrincipalBulkhead = "principal_bulkhead";
    /// What the caller may do.
    Authorization = "authorization";
    /// Which version of the API is asked for.
    Version = "version";
    /// Validation of the request, and of the response.
    Validation = "validation";
    /// Idempotency keys.
    Idempotency = "idempotency";
    /// Cached responses: innermost.
    Cache = "cache";
}

/// The phases of an outgoing stack.
pub mod client {
    use super::{After, Phase, Start};

    /// A place where outgoing traffic is measured and traced: inside of the retries, or outside of them. Sealed.
    ///
    /// A retried HTTP request is several requests to its upstream; a gRPC call is one, whatever it took (OpenTelemetry's
    /// semantic conventions for HTTP and RPC). So what follows both stands twice in a stack.
    pub trait Measured: Phase + sealed::Sealed {
        /// Whether gRPC calls are followed here, or else HTTP requests.
        const GRPC: bool;
    }

    mod sealed {
        pub trait Sealed {}
        impl Sealed for super::Attempt {}
        impl Sealed for super::AttemptSpan {}
        impl Sealed for super::RpcSpan {}
    }

    impl Measured for Attempt {
        const GRPC: bool = false;
    }

    impl Measured for AttemptSpan {
        const GRPC: bool = false;
    }

    impl Measured for RpcSpan {
        const GRPC: bool = true;
    }

    ladder! {
        /// One span per logical gRPC call: outermost.
        RpcSpan = "rpc_span";
        /// The deadline over all attempts.
        TotalDeadline = "total_deadline";
        /// Retry and hedging.
        Retry = "retry";
        /// Outbound limits.
        OutboundLimit = "outbound_limit";
        /// Bulkheads.
        Bulkhead = "bulkhead";
        /// Circuit breakers.
        Breaker = "breaker";
        /// The span of each attempt, whose id the propagation sends.
        AttemptSpan = "attempt_span";
        /// What is done for each attempt: propagation, metrics, timeout.
        Attempt = "attempt";
        /// Credentials: innermost.
        Credentials = "credentials";
    }
}
