//! A body that was read by a layer further out.

use bytes::Bytes;
use http::Extensions;

use crate::JsonLimits;

/// The last bytes that were found to be JSON, and within which limits: a layer further in that gets these very bytes
/// need not read them again.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Held, so that nothing else can come to lie where they do.
    bytes: Bytes,
    limits: JsonLimits,
}

impl Checked {
    /// Tells layers further in that `bytes` are JSON within `limits`.
    pub(crate) fn note(bytes: &Bytes, limits: &JsonLimits, extensions: &mut Extensions) {
        if !Self::get(extensions).is_some_and(|known| known.covers(bytes, limits)) {
            extensions.insert(Self { bytes: bytes.clone(), limits: *limits });
        }
    }

    /// `bytes` as a text, if a layer further out has read them within `limits`.
    pub(crate) fn text<'a>(
        bytes: &'a Bytes,
        limits: &JsonLimits,
        extensions: &Extensions,
    ) -> Option<&'a str> {
        Self::get(extensions).filter(|known| known.covers(bytes, limits))?;
        std::str::from_utf8(bytes).ok()
    }

    fn get(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Whether they are the same bytes, in the same memory.
    fn covers(&self, bytes: &Bytes, limits: &JsonLimits) -> bool {
        self.bytes.as_ptr() == bytes.as_ptr()
            && self.bytes.len() == bytes.len()
            && self.limits.are_within(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn val_02_only_the_same_bytes_within_the_same_limits_are_not_read_again() {
        let limits = JsonLimits::new();
        let bytes = Bytes::from(b"[[1], [2]]".to_vec());
        let mut extensions = Extensions::new();
        assert_eq!(Checked::text(&bytes, &limits, &extensions), None);
        Checked::note(&bytes, &limits, &mut extensions);
        assert_eq!(Checked::text(&bytes, &limits, &extensions), Some("[[1], [2]]"));
        let wider = limits.with_max_depth(100).unwrap();
        assert_eq!(Checked::text(&bytes.clone(), &wider, &extensions), Some("[[1], [2]]"));
        let narrower = limits.with_max_depth(1).unwrap();
        assert_eq!(Checked::text(&bytes, &narrower, &extensions), None);
        for others in [Bytes::copy_from_slice(&bytes), bytes.slice(1..4), bytes.slice(..9)] {
            assert_eq!(Checked::text(&others, &limits, &extensions), None);
        }
    }
}
