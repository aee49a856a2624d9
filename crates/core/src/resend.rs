//! How often a request was sent before.

use http::Extensions;

/// Which repetition of a request this is, from 1 on: in the extensions of a request that is sent again. The first time
/// there is none.
///
/// Retries and hedges put it there; what follows each attempt tells it as `http.request.resend_count` (OpenTelemetry's
/// semantic conventions for HTTP spans). Where hedges stand inside of retries, which do not know how many copies there
/// were, it counts the repetitions of both, and not the copies of earlier attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResendCount(u32);

impl ResendCount {
    /// Notes that the request with these extensions is sent after `before` others, beside those that a layer further out
    /// has noted.
    ///
    /// ```
    /// use bartizan_core::ResendCount;
    ///
    /// let mut extensions = http::Extensions::new();
    /// ResendCount::add(&mut extensions, 0);
    /// assert_eq!(extensions.get::<ResendCount>(), None);
    /// ResendCount::add(&mut extensions, 1);
    /// ResendCount::add(&mut extensions, 2);
    /// assert_eq!(extensions.get::<ResendCount>().map(|count| count.get()), Some(3));
    /// ```
    pub fn add(extensions: &mut Extensions, before: u32) {
        let all = extensions.get::<Self>().map_or(0, |count| count.0).saturating_add(before);
        if all > 0 {
            extensions.insert(Self(all));
        }
    }

    /// The number, 1 or more.
    pub fn get(self) -> u32 {
        self.0
    }
}
