use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $digits:literal) => {
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

            /// The lower-case hex digits.
            pub fn to_hex(self) -> [u8; $digits] {
                let mut digits = [0; $digits];
                write_hex(&mut digits, &self.0);
                digits
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Hex digits are ASCII: this never falls back.
                f.write_str(str::from_utf8(&self.to_hex()).unwrap_or_default())
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
    TraceId, 16, 32
}

hex_id! {
    /// The id of one span: 8 bytes, not all zero, written as 16 lower-case hex digits.
    SpanId, 8, 16
}

/// Two lower-case digits for each byte.
fn write_hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
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

    /// Whether the low seven bytes of the trace id are random.
    #[must_use]
    pub fn with_random(mut self, random: bool) -> Self {
        self.flags = if random { self.flags | Self::RANDOM } else { self.flags & !Self::RANDOM };
        self
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

    /// The `traceparent`, version 00, of a call made as the span `span` of this trace: a fresh one for each outgoing
    /// call, or [`span_id`](Self::span_id) itself for what belongs to this service's own span.
    ///
    /// One allocation, which all copies of the value share.
    ///
    /// ```
    /// use bartizan_core::{SpanId, TraceContext, TraceId};
    ///
    /// let trace = TraceId::new(*b"sixteen bytes...").unwrap();
    /// let trace = TraceContext::new(trace, SpanId::new([1; 8]).unwrap(), TraceContext::SAMPLED);
    /// let call = SpanId::new([2; 8]).unwrap();
    /// assert_eq!(trace.traceparent(call), "00-7369787465656e2062797465732e2e2e-0202020202020202-01");
    /// ```
    pub fn traceparent(&self, span: SpanId) -> HeaderValue {
        let mut text = Traceparent(*b"00-................................-................-..");
        write_hex(&mut text.0[3..35], &self.trace_id.0);
        write_hex(&mut text.0[36..52], &span.0);
        write_hex(&mut text.0[53..], &[self.flags]);
        HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .expect("hex digits and hyphens are a header value")
    }
}

/// The text of a `traceparent`, held by its reference count.
struct Traceparent([u8; 55]);

impl AsRef<[u8]> for Traceparent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_lower_case_hex() {
        let trace = TraceId::new(std::array::from_fn(|index| index as u8 * 17)).unwrap();
        assert_eq!(trace.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(&trace.to_hex(), b"00112233445566778899aabbccddeeff");
        assert_eq!(format!("{:?}", SpanId::new([0xa5; 8]).unwrap()), "a5a5a5a5a5a5a5a5");
        assert_eq!((TraceId::new([0; 16]), SpanId::new([0; 8])), (None, None));
    }

    #[test]
    fn trc_03_only_the_two_known_flags_are_sent() {
        let (trace, span) = (TraceId::new([0xab; 16]).unwrap(), SpanId::new([0xcd; 8]).unwrap());
        for (flags, sent) in [(0xff, "03"), (0x01, "01"), (0x02, "02"), (0xfc, "00")] {
            let text = TraceContext::new(trace, span, flags).traceparent(span);
            assert_eq!(text, format!("00-{}-{}-{sent}", "ab".repeat(16), "cd".repeat(8)).as_str());
        }
    }
}
