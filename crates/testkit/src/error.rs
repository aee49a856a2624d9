//! The one error of the test services and bodies.

use std::{error::Error, fmt, sync::Arc};

/// The error of [`Inner`](crate::Inner) and of [`TestBody`](crate::TestBody). Two are equal when they say the same.
///
/// It converts into nothing but a boxed error, so that a layer that passes it on must keep the error type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestError(Arc<str>);

impl TestError {
    /// An error that says `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The test error in `error`, or one that says the same.
    pub(crate) fn from_boxed(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(foreign) => Self::new(foreign.to_string()),
        }
    }
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TestError {}
