/// How many attempts a call took: in the extensions of its response, when it was more than one.
///
/// ```
/// use bartizan_retry::Attempts;
/// use http::Response;
///
/// fn attempts<B>(response: &Response<B>) -> u32 {
///     response.extensions().get::<Attempts>().map_or(1, |attempts| attempts.get())
/// }
/// assert_eq!(attempts(&Response::new(())), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts(pub(crate) u32);

impl Attempts {
    /// The number, the first attempt and transparent ones included.
    pub fn get(self) -> u32 {
        self.0
    }
}
