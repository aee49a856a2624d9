/// Which repetition of a request this is, from 1 on: in the extensions of a request that is sent again. The first time
/// there is none.
///
/// Retries and hedges put it there; what follows each attempt tells it as `http.request.resend_count` (OpenTelemetry's
/// semantic conventions for HTTP spans).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResendCount(u32);

impl ResendCount {
    /// That of the request which is sent after `before` others.
    pub fn after(before: u32) -> Self {
        Self(before)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}
