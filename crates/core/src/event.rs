//! The wide event: every layer adds what it knows, the access log writes it once.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Principal;

/// One fact of a [`RequestEvent`].
#[derive(Clone)]
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
    /// A text that need not be copied: the id of this caller's credential, if it has one.
    CredentialId(Principal),
}

impl Fact {
    /// The id of the caller's credential, if it has one, which need not be copied.
    #[inline]
    pub fn credential_id(caller: &Principal) -> Option<Self> {
        caller.has_credential_id().then(|| Self::CredentialId(caller.clone()))
    }

    /// What a text says.
    #[inline]
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::CredentialId(principal) => Some(principal.credential_id().unwrap_or_default()),
            _ => None,
        }
    }
}

/// Shows what a log would: of a caller no more than the id of the credential.
impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => f.debug_tuple("Bool").field(value).finish(),
            Self::Unsigned(value) => f.debug_tuple("Unsigned").field(value).finish(),
            Self::Float(value) => f.debug_tuple("Float").field(value).finish(),
            Self::Text(_) | Self::CredentialId(_) => {
                f.debug_tuple("Text").field(&self.text().unwrap_or_default()).finish()
            }
        }
    }
}

/// Texts are what they say.
impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Unsigned(one), Self::Unsigned(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            _ => self.text().zip(other.text()).is_some_and(|(one, other)| one == other),
        }
    }
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
    facts: Mutex<EventFacts>,
}

impl RequestEvent {
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
            // Made before the event is locked: it may come back to it.
            let fact = fact.into();
            self.facts().record(name, fact);
        }
    }

    /// Adds several facts together, which costs less than one after the other. Where nobody will read them `tell` is
    /// not asked. While it is, the event is locked: it must not come back to it.
    #[inline]
    pub fn record_with(&self, tell: impl FnOnce(&mut EventFacts)) {
        if self.is_enabled() {
            tell(&mut self.facts());
        }
    }

    /// Adds a fact whether or not someone will read it: for the rare facts of a layer outside the log layer,
    /// which cannot know yet whether a log layer follows.
    pub fn record_early(&self, name: &'static str, fact: impl Into<Fact>) {
        let fact = fact.into();
        self.facts().record(name, fact);
    }

    /// Forgets it all, but keeps the room that most requests need.
    #[inline]
    pub(crate) fn clear(&mut self) {
        *self.enabled.get_mut() = false;
        self.facts.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Shows the facts, in the order in which they were first recorded.
    pub fn read<T>(&self, read: impl FnOnce(&[(&'static str, Fact)]) -> T) -> T {
        read(&self.facts().list)
    }

    #[inline]
    fn facts(&self) -> MutexGuard<'_, EventFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The facts of a [`RequestEvent`], open for more.
#[derive(Debug, Default)]
pub struct EventFacts {
    list: Vec<(&'static str, Fact)>,
    /// A bit for each length that a name has: one that is new there is new.
    lengths: u64,
}

impl EventFacts {
    const MAX_FACTS: usize = 64;
    /// What a whole stack records of a request that passes: room for so many is taken at a time.
    const USUAL_FACTS: usize = 8;
    const MAX_TEXT: usize = 256;

    /// Adds a fact, or replaces its former value.
    #[inline]
    pub fn record(&mut self, name: &'static str, fact: impl Into<Fact>) {
        let fact = fact.into();
        let length = 1 << (name.len() % 64);
        let is_long = fact.text().is_some_and(|text| text.len() > Self::MAX_TEXT);
        if is_long || self.lengths & length != 0 || self.list.len() >= self.list.capacity() {
            self.keep(name, fact);
        } else {
            self.list.push((name, fact));
        }
        self.lengths |= length;
    }

    #[inline]
    fn clear(&mut self) {
        // Set by every fact.
        if self.lengths != 0 {
            self.forget();
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        if self.list.capacity() > Self::USUAL_FACTS {
            self.list = Vec::new();
        }
        self.list.clear();
        self.lengths = 0;
    }

    /// Apart, so that what most facts need is small enough to be part of the caller.
    #[inline(never)]
    fn keep(&mut self, name: &'static str, mut fact: Fact) {
        if let Some(text) = fact.text()
            && text.len() > Self::MAX_TEXT
        {
            let end = (0..=Self::MAX_TEXT).rfind(|end| text.is_char_boundary(*end)).unwrap_or_default();
            fact = Fact::from(text[..end].to_owned());
        }
        if let Some((_, known)) = self.list.iter_mut().find(|(known, _)| *known == name) {
            *known = fact;
        } else if self.list.len() < Self::MAX_FACTS {
            if self.list.len() == self.list.capacity() {
                self.list.reserve_exact(Self::USUAL_FACTS);
            }
            self.list.push((name, fact));
        }
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
    fn facts_told_together_are_kept_as_if_told_apart() {
        let event = RequestEvent::default();
        event.record_with(|_| unreachable!("nobody will read them"));
        event.enable();
        event.record("one", 1_u64);
        event.record_with(|facts| {
            facts.record("two", 2_u64);
            facts.record("one", "first again");
            facts.record("long", "é".repeat(200));
        });
        event.read(|facts| {
            assert_eq!(facts[..2], [("one", Fact::from("first again")), ("two", Fact::from(2_u64))]);
            assert!(matches!(&facts[2].1, Fact::Text(text) if text.len() == 256));
        });
    }

    #[test]
    fn the_id_of_a_credential_is_a_text_like_any_other() {
        let event = RequestEvent::default();
        event.enable();
        let with_id = |id: &str| Fact::CredentialId(Principal::user("someone").credential_id(id).build());
        event.record("short", with_id("token-1"));
        event.record("long", with_id(&"é".repeat(200)));
        event.read(|facts| {
            assert_eq!(facts[0].1, Fact::from("token-1"));
            assert_eq!(facts[1].1, Fact::from("é".repeat(128)));
            assert_ne!(facts[0].1, Fact::from("token-2"));
            assert_ne!(facts[0].1, Fact::from(1_u64));
        });
    }

    #[test]
    fn log_03_a_fact_that_shares_a_caller_shows_no_more_of_it_than_its_text() {
        let fact = |principal| format!("{:?}", Fact::CredentialId(principal));
        let caller = Principal::user("someone@example.com").scopes(["orders:read"]);
        assert_eq!(fact(caller.credential_id("token-1").build()), format!("{:?}", Fact::from("token-1")));
        assert_eq!(fact(Principal::user("someone@example.com").build()), r#"Text("")"#);
    }

    #[test]
    fn a_fact_may_come_back_to_the_event_while_it_is_made() {
        struct Talkative<'a>(&'a RequestEvent);
        impl From<Talkative<'_>> for Fact {
            fn from(talkative: Talkative<'_>) -> Self {
                talkative.0.record_early("aside", true);
                Self::Bool(true)
            }
        }
        let event = RequestEvent::default();
        event.enable();
        event.record("fact", Talkative(&event));
        event.record_early("early", Talkative(&event));
        assert_eq!(event.read(<[_]>::len), 3);
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
