//! What happens to a limit after its request was let through.

use std::{fmt, time::Duration};

use bartizan_core::{Observer, Outcome, Rejection, retry_after, stripe::Share};
use http::{Extensions, HeaderMap, Response, StatusCode, header::RETRY_AFTER, response::Parts};

use crate::{
    Charge,
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

    /// Whether there is anything to do about this response.
    #[inline(always)]
    pub(crate) fn concerns(&self, head: &Parts) -> bool {
        // Most have no extensions, and so are no refusals.
        !head.extensions.is_empty() || self.shared.settings.headers.is_some()
    }

    /// Does it.
    // By value: a response that was lent would be copied whether or not there is anything to do.
    #[inline(never)]
    pub(crate) fn applied_to<B>(&self, mut response: Response<B>) -> Response<B> {
        self.look(response.extensions());
        if self.shared.settings.headers.is_some() {
            let latest = self.latest(response.status(), response.headers(), response.extensions());
            self.add_fields(response.headers_mut(), latest);
        }
        response
    }

    /// Charges a response to a bad credential.
    fn look(&self, extensions: &Extensions) {
        if extensions.get().is_some_and(Rejection::is_failed_credential) {
            self.charge_failed_credential();
        }
    }

    /// When the caller may come again by what was said further in, after which no `t` is told (RL-03).
    #[inline]
    fn latest(&self, status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> Option<Duration> {
        // A 200 does not ask to come again, unless it is a refusal over gRPC. Most responses are looked at no further.
        let refused = extensions.get().and_then(Rejection::retry_after);
        if refused.is_some() || status == StatusCode::OK || !headers.contains_key(RETRY_AFTER) {
            return refused;
        }
        retry_after(headers, self.shared.clock().wall())
    }

    /// Adds the fields that a response gets.
    fn add_fields(&self, headers: &mut HeaderMap, latest: Option<Duration>) {
        if let Some(fields) = self.shared.settings.headers {
            fields.of(&self.shared, &self.notes, latest).add_to(headers);
        }
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
        let latest = self.latest(head.status, &head.headers, &head.extensions);
        self.add_fields(&mut head.headers, latest);
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
