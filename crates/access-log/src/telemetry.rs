//! What this crate counts.

/// Lines that were dropped because the buffer was full or the writer failed: a counter, with the feature `metrics`.
pub const DROPPED: &str = "bartizan_access_log_dropped_total";

#[cfg(feature = "metrics")]
#[cold]
pub(crate) fn dropped(lines: u64) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use metrics::{Key, KeyName, Level, Metadata, SharedString, Unit};

    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    /// Where the recorder is that knows what the metric means.
    static DESCRIBED_TO: AtomicUsize = AtomicUsize::new(0);

    metrics::with_recorder(|recorder| {
        let address = std::ptr::from_ref(recorder).cast::<()>().addr();
        if DESCRIBED_TO.swap(address, Ordering::Relaxed) != address {
            let text = "Access log lines dropped because the buffer was full or the writer failed.";
            let name = KeyName::from_const_str(DROPPED);
            recorder.describe_counter(name, Some(Unit::Count), SharedString::const_str(text));
        }
        recorder.register_counter(&Key::from_static_name(DROPPED), &METADATA).increment(lines);
    });
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn dropped(_lines: u64) {}
