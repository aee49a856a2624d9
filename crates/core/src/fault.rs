//! Configuration faults that only a request can show.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

/// A fault in how a service is put together, reported once, loudly, with its fix.
///
/// A layer keeps one for each need that the compiler could not check because the layer stands alone, outside a
/// checked stack.
/// The report is a `tracing` error event with the feature `tracing`, else a line on standard error.
///
/// ```
/// use bartizan_core::Fault;
///
/// static NO_PEER: Fault = Fault::new("example", "no peer address", "serve with connect info");
/// assert!(NO_PEER.report());
/// assert!(!NO_PEER.report(), "once is enough");
/// ```
#[derive(Debug)]
pub struct Fault {
    layer: &'static str,
    what: Cow<'static, str>,
    fix: &'static str,
    reported: AtomicBool,
}

impl Fault {
    /// A fault of `layer`: what is wrong, and what to do about it.
    pub const fn new(layer: &'static str, what: &'static str, fix: &'static str) -> Self {
        Self { layer, what: Cow::Borrowed(what), fix, reported: AtomicBool::new(false) }
    }

    /// The same where what is wrong has a name that only the running service knows, such as a policy's.
    pub const fn named(layer: &'static str, what: String, fix: &'static str) -> Self {
        Self { layer, what: Cow::Owned(what), fix, reported: AtomicBool::new(false) }
    }

    /// Reports the fault unless it was reported before; says whether it did.
    #[cold]
    pub fn report(&self) -> bool {
        if self.reported.load(Ordering::Relaxed) || self.reported.swap(true, Ordering::Relaxed) {
            return false;
        }
        #[cfg(feature = "tracing")]
        tracing::error!(target: "bartizan", layer = self.layer, fix = self.fix, "{}", self.what);
        #[cfg(not(feature = "tracing"))]
        {
            // `eprintln!` would panic in the middle of a request where standard error is closed.
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "bartizan: {}: {}; fix: {}", self.layer, self.what, self.fix);
        }
        true
    }
}
