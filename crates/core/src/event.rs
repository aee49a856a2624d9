//! The wide event: every layer adds what it knows, the access log writes it once.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// One fact of a [`RequestEvent`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// A yes or no.
    Bool(bool),
    /// A count.
    Unsigned(u64),
    /// A number.
    Float(f64),
    /// A text, cut to 256 bytes.
    Text(Cow<'static, str>),
}

macro_rules! facts_from {
    ($($from:ty => $make:expr;)*) => {
        $(impl From<$from> for Fact {
            fn from(value: $from) -> Self {
                ($make)(value)
            }
        })*
    };
}

facts_from! {
    bool => Fact::Bool;
    u64 => Fact::Unsigned;
    u32 => |value| Fact::Unsigned(u64::from(value));
    f64 => Fact::Float;
    &'static str => |value| Fact::Text(Cow::Borrowed(value));
    String => |value| Fact::Text(Cow::Owned(value));
}

/// The facts of one request, from every layer it passed.
///
/// Nothing is kept, and nothing is made, until a log layer has enabled the event: a service without one pays a
/// load and a branch per fact. At most 64 facts are kept; one recorded again replaces its former value.
#[derive(Default)]
pub struct RequestEvent {
    enabled: AtomicBool,
    facts: Mutex<Vec<(&'static str, Fact)>>,
}

impl RequestEvent {
    const MAX_FACTS: usize = 64;
    /// What a whole stack records of a request that passes: room for them is taken at once.
    const USUAL_FACTS: usize = 8;
    const MAX_TEXT: usize = 256;

    /// Starts keeping facts. Called by the layer that will write them.
    pub fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Whether someone will read the facts.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Adds a fact. `name` is in dotted snake case and starts with the layer: `rate_limit.remaining`.
    #[inline]
    pub fn record(&self, name: &'static str, fact: impl Into<Fact>) {
        if self.is_enabled() {
            self.keep(name, fact.into());
        }
    }

    /// Adds a fact whether or not someone will read it: for the rare facts of a layer outside the log layer,
    /// which cannot know yet whether a log layer follows.
    pub fn record_early(&self, name: &'static str, fact: impl Into<Fact>) {
        self.keep(name, fact.into());
    }

    fn keep(&self, name: &'static str, mut fact: Fact) {
        if let Fact::Text(text) = &mut fact {
            truncate(text, Self::MAX_TEXT);
        }
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = facts.iter_mut().find(|(known, _)| *known == name) {
            *known = fact;
        } else if facts.len() < Self::MAX_FACTS {
            if facts.capacity() == 0 {
                facts.reserve_exact(Self::USUAL_FACTS);
            }
            facts.push((name, fact));
        }
    }

    /// Shows the facts, in the order in which they were first recorded.
    pub fn read<T>(&self, read: impl FnOnce(&[(&'static str, Fact)]) -> T) -> T {
        read(&self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn truncate(text: &mut Cow<'static, str>, max: usize) {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.to_mut().truncate(end);
    }
}

impl fmt::Debug for RequestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|facts| f.debug_map().entries(facts.iter().map(|(name, fact)| (name, fact))).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_until_someone_will_read_it() {
        let event = RequestEvent::default();
        event.record("a", 1_u64);
        event.enable();
        event.record("b", "first");
        event.record("b", "second");
        event.record("c", "é".repeat(200));
        event.read(|facts| {
            assert_eq!(facts.len(), 2);
            assert_eq!(facts[0], ("b", Fact::from("second")));
            assert!(matches!(&facts[1].1, Fact::Text(text) if text.len() == 256));
        });
    }

    #[test]
    fn a_fact_from_outside_the_log_layer_is_kept() {
        let event = RequestEvent::default();
        event.record_early("a", "early");
        event.enable();
        event.record("b", "late");
        event.read(|facts| {
            assert_eq!(facts, [("a", Fact::from("early")), ("b", Fact::from("late"))]);
        });
    }

    #[test]
    fn the_number_of_facts_is_bounded() {
        let event = RequestEvent::default();
        event.enable();
        for name in (0..100).map(|index| &*Box::leak(format!("fact_{index}").into_boxed_str())) {
            event.record(name, true);
        }
        assert_eq!(event.read(<[_]>::len), 64);
    }
}
