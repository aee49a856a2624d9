//! The place of a request in a trace: what its headers say, and what becomes of it.

use bartizan_core::{Baggage, RequestContext, TraceContext, TraceId};
use http::HeaderMap;

use super::{
    member::OwnEntry,
    parent::{self, Parent, Why},
    state,
};
use crate::{
    Trust,
    names::{BAGGAGE, TRACEPARENT, TRACESTATE},
    source,
};

/// Why the caller's trace did not go on.
const RESTARTED: &str = "trace_context.restarted";
/// The caller's span, at the edge.
const ORIGINAL: &str = "trace_context.original_parent";
/// The caller's `tracestate` was no list.
const STATE_DROPPED: &str = "trace_context.state_dropped";

/// How places are given.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    pub(super) trust: Trust,
    pub(super) sampling: Sampling,
    pub(super) own: Option<OwnEntry>,
}

impl Policy {
    /// Gives a request its place, unless a layer further out did. Of the headers only what nobody further in may go
    /// by is taken away.
    pub(super) fn place(&self, context: &RequestContext, headers: &mut HeaderMap) {
        if context.trace().is_some() {
            return;
        }
        let trace = match parent::read(headers.get_all(TRACEPARENT).iter()) {
            Some(Ok(parent)) if self.trust == Trust::Internal => self.go_on(parent, context, headers),
            Some(received) => self.restart(received, context, headers),
            None => {
                headers.remove(TRACESTATE);
                self.begin(None)
            }
        };
        context.set_trace(trace);
        self.take_baggage(context, headers);
    }

    fn go_on(&self, parent: Parent, context: &RequestContext, headers: &mut HeaderMap) -> TraceContext {
        let span = source::span_id();
        // The flags of the caller but for the one, for which the new span's id is a coin that nobody else threw.
        let flags = match self.sampling.of(Some(parent), self.trust, last_56_bits(&span.to_bytes())) {
            true => parent.flags | TraceContext::SAMPLED,
            false => parent.flags & !TraceContext::SAMPLED,
        };
        let trace = TraceContext::new(parent.trace_id, span, flags).with_parent(parent.span_id);
        let state = state::read(headers.get_all(TRACESTATE).iter(), self.own.as_ref());
        match state.unwrap_or_else(|_| self.drop_state(context, headers)) {
            Some(state) => trace.with_state(state),
            None => trace,
        }
    }

    #[cold]
    fn drop_state(&self, context: &RequestContext, headers: &mut HeaderMap) -> Option<http::HeaderValue> {
        headers.remove(TRACESTATE);
        context.event().record_early(STATE_DROPPED, true);
        self.own.as_ref().and_then(state::begin)
    }

    #[cold]
    fn restart(
        &self,
        received: Result<Parent, Why>,
        context: &RequestContext,
        headers: &mut HeaderMap,
    ) -> TraceContext {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
        let why = match self.trust {
            Trust::Edge => Why::Untrusted,
            Trust::Internal => received.err().unwrap_or(Why::Malformed),
        };
        // The log layer stands further in, and has not yet said that it will read this.
        let event = context.event();
        event.record_early(RESTARTED, why.as_str());
        let parent = received.ok();
        if let Some(Parent { trace_id, span_id, flags }) = parent {
            event.record_early(ORIGINAL, format!("00-{trace_id}-{span_id}-{flags:02x}"));
        }
        self.begin(parent)
    }

    /// The same, with our own entry.
    fn begin(&self, caller: Option<Parent>) -> TraceContext {
        let trace = self.sampling.begin(caller, self.trust);
        match self.own.as_ref().and_then(state::begin) {
            Some(state) => trace.with_state(state),
            None => trace,
        }
    }

    fn take_baggage(&self, context: &RequestContext, headers: &mut HeaderMap) {
        let lines = headers.get_all(BAGGAGE);
        let Some(first) = lines.iter().next() else { return };
        if self.trust == Trust::Edge {
            headers.remove(BAGGAGE);
            return;
        }
        match Baggage::from_lines(&lines) {
            Some(baggage) => {
                let is_alone = lines.iter().nth(1).is_none();
                if !is_alone || baggage.as_str().as_bytes() != first.as_bytes() {
                    replace_baggage(headers, &baggage);
                }
                context.set_baggage(baggage);
            }
            None => {
                headers.remove(BAGGAGE);
            }
        }
    }
}

/// Takes the lines away first: a map that holds no more names would not let go of them.
#[cold]
fn replace_baggage(headers: &mut HeaderMap, baggage: &Baggage) {
    headers.remove(BAGGAGE);
    let _ = headers.try_insert(BAGGAGE, baggage.to_header());
}

/// Who decides whether a trace is sampled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampling {
    /// Sampled is what has at least so much randomness, of 2^56: by default, all.
    threshold: u64,
    /// Whether the caller's flag counts; by default where its trace goes on.
    caller: Option<bool>,
}

/// One more than there is of randomness.
const ALL: u64 = 1 << 56;

impl Sampling {
    /// `None` when the share is not between 0 and 1.
    pub(crate) fn with_share(mut self, share: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        self.threshold = ((1.0 - share) * ALL as f64) as u64;
        Some(self)
    }

    pub(super) fn with_caller(mut self, counts: bool) -> Self {
        self.caller = Some(counts);
        self
    }

    /// A trace that no caller has a word in.
    pub(crate) fn begin_own(self) -> TraceContext {
        self.begin(None, Trust::Internal)
    }

    /// A trace that begins here; `caller` is where it would have come from.
    fn begin(self, caller: Option<Parent>, trust: Trust) -> TraceContext {
        let id = source::trace_id();
        let sampled = if self.of(caller, trust, randomness(id)) { TraceContext::SAMPLED } else { 0 };
        TraceContext::new(id, source::span_id(), TraceContext::RANDOM | sampled)
    }

    fn of(self, caller: Option<Parent>, trust: Trust, randomness: u64) -> bool {
        match caller {
            Some(parent) if self.caller.unwrap_or(trust == Trust::Internal) => {
                parent.flags & TraceContext::SAMPLED != 0
            }
            _ => randomness >= self.threshold,
        }
    }
}

/// The low seven bytes of a trace id, by which all services that sample a share of the traces sample the same.
fn randomness(id: TraceId) -> u64 {
    last_56_bits(&id.to_bytes())
}

fn last_56_bits(bytes: &[u8]) -> u64 {
    bytes.last_chunk().map_or(0, |last| u64::from_be_bytes(*last) % ALL)
}

#[cfg(test)]
mod tests {
    use bartizan_core::SpanId;

    use super::*;

    fn parent(flags: u8) -> Option<Parent> {
        let (trace_id, span_id) = (TraceId::new([1; 16]).unwrap(), SpanId::new([2; 8]).unwrap());
        Some(Parent { trace_id, span_id, flags })
    }

    #[test]
    fn a_share_of_the_traces_is_sampled() {
        for (share, low, high) in [(0.0, false, false), (1.0, true, true), (0.5, false, true)] {
            let sampling = Sampling::default().with_share(share).unwrap();
            let sampled = |randomness| sampling.of(None, Trust::Internal, randomness);
            assert_eq!((sampled(0), sampled(ALL / 2 - 1)), (low, low), "{share}");
            assert_eq!((sampled(ALL / 2), sampled(ALL - 1)), (high, high), "{share}");
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Sampling::default().with_share(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn trc_07_the_flag_of_the_caller_may_be_ignored() {
        let none = Sampling::default().with_share(0.0).unwrap();
        for (sampling, trust, expected) in [
            (none, Trust::Internal, true),
            (none, Trust::Edge, false),
            (none.with_caller(false), Trust::Internal, false),
            (none.with_caller(true), Trust::Edge, true),
        ] {
            assert_eq!(sampling.of(parent(0xff), trust, ALL - 1), expected, "{sampling:?} {trust:?}");
            assert!(!sampling.of(parent(0xfe), trust, ALL - 1));
        }
    }

    #[test]
    fn the_last_seven_bytes_are_the_randomness() {
        let mut bytes = [0xff; 16];
        bytes[9..].copy_from_slice(&[0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(randomness(TraceId::new(bytes).unwrap()), 0x0102);
    }
}
