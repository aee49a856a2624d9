//! Panics of the inner service, turned into refusals.

use std::{
    any::Any,
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{Rejection, excerpt};

/// Runs `run`; a panic becomes a refusal that tells the log what it said and the caller nothing.
///
/// The state that a panic may have left half-changed is the inner service's own: nothing of it is used again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Rejection> {
    catch_or(|| Ok(run()), Err)
}

/// The same, with `refuse` to say what comes of the refusal. What `run` gives is moved less often.
#[inline(always)]
pub(crate) fn catch_or<T>(run: impl FnOnce() -> T, refuse: impl FnOnce(Rejection) -> T) -> T {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done,
        Err(payload) => refuse(refusal(&*payload)),
    }
}

#[cold]
fn refusal(payload: &(dyn Any + Send)) -> Rejection {
    Rejection::panicked(message(payload))
}

fn message(payload: &(dyn Any + Send)) -> Cow<'static, str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        Cow::Borrowed(*text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Cow::Owned(excerpt(text).into_owned())
    } else {
        Cow::Borrowed("a panic without a message")
    }
}
