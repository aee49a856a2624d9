//! What happens to a limit after its request was let through.

use std::fmt;

use bartizan_core::{Observer, Outcome, Rejection, stripe::Share};
use http::{Extensions, HeaderMap, response::Parts};

use crate::{
    Charge, HeaderFields,
    policy::{Notes, Shared},
};

/// What a response is looked at for: charges, refunds, and the fields it gets.
pub(crate) struct After {
    shared: Share<Shared>,
    notes: Notes,
}

impl After {
    #[inline]
    pub(crate) fn new(shared: Share<Shared>, notes: Notes) -> Self {
        Self { shared, notes }
    }

    /// Charges a response to a bad credential.
    // As part of the caller, as the next, it leaves the response where that has it.
    #[inline(always)]
    pub(crate) fn look(&self, extensions: &Extensions) {
        // Most responses have no extensions, and those that have one are seldom refusals.
        if !extensions.is_empty() && extensions.get().is_some_and(Rejection::is_failed_credential) {
            self.charge_failed_credential();
        }
    }

    /// Adds the fields that a response gets.
    #[inline(always)]
    pub(crate) fn add_fields(&self, headers: &mut HeaderMap) {
        if let Some(fields) = self.shared.settings.headers {
            self.tell(fields, headers);
        }
    }

    #[inline(never)]
    fn tell(&self, fields: HeaderFields, headers: &mut HeaderMap) {
        fields.of(&self.shared, &self.notes, None).add_to(headers);
    }

    /// An attempt at guessing costs more than a request (KEY-05).
    #[cold]
    fn charge_failed_credential(&self) {
        let shared = &self.shared;
        let now = shared.clock().nanos();
        for note in self.notes.iter().filter(|note| note.allowed) {
            let limit = shared.limit(note);
            Shared::settle(shared, note, now, Charge::More(limit.failed_credential_charge));
        }
    }
}

impl Observer for After {
    fn wants_head(&self) -> bool {
        true
    }

    fn on_head(&mut self, head: &mut Parts) {
        self.look(&head.extensions);
        self.add_fields(&mut head.headers);
    }

    fn on_end(self, outcome: Outcome) {
        let shared = &self.shared;
        let now = shared.clock().nanos();
        for note in self.notes.iter().filter(|note| note.allowed) {
            Shared::settle(shared, note, now, shared.limit(note).charge(&outcome));
        }
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("After").field("notes", &self.notes).finish_non_exhaustive()
    }
}
