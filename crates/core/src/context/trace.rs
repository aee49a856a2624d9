use std::fmt;

use http::HeaderValue;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The id of these bytes; `None` when all are zero, which W3C Trace Context calls invalid.
            pub fn new(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// The bytes.
            pub fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hex_id! {
    /// The id of a whole trace: 16 bytes, not all zero, written as 32 lower-case hex digits.
    TraceId, 16
}

hex_id! {
    /// The id of one span: 8 bytes, not all zero, written as 16 lower-case hex digits.
    SpanId, 8
}

/// A service's place in a distributed trace (W3C Trace Context Level 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: Option<SpanId>,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// The flag that says the caller may have recorded the trace.
    pub const SAMPLED: u8 = 0x01;
    /// The flag that says the low seven bytes of the trace id are random.
    pub const RANDOM: u8 = 0x02;

    /// A place in `trace_id`, where this service's span is `span_id`. Flags other than [`SAMPLED`](Self::SAMPLED)
    /// and [`RANDOM`](Self::RANDOM) are dropped.
    pub fn new(trace_id: TraceId, span_id: SpanId, flags: u8) -> Self {
        Self {
            trace_id,
            span_id,
            parent_id: None,
            flags: flags & (Self::SAMPLED | Self::RANDOM),
            state: None,
        }
    }

    /// Under the caller's span.
    #[must_use]
    pub fn with_parent(mut self, parent: SpanId) -> Self {
        self.parent_id = Some(parent);
        self
    }

    /// With the vendors' data of `tracestate`, already validated.
    #[must_use]
    pub fn with_state(mut self, state: HeaderValue) -> Self {
        self.state = Some(state);
        self
    }

    /// The trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// This service's span.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The caller's span, if the trace did not begin here.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent_id
    }

    /// Whether the trace is sampled.
    pub fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The flags as sent.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The vendors' data.
    pub fn state(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }
}
