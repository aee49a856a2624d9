//! A place for all that a layer says.

use std::fmt::Debug;

use bartizan_testkit::TestLog;

/// All that was said, in one place.
#[derive(Clone, Default)]
pub(crate) struct Everything(pub(crate) TestLog);

impl Everything {
    pub(crate) fn add(&self, text: impl AsRef<str>) {
        self.0.push(text.as_ref());
    }

    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.add(format!("{value:?}{value:#?}"));
    }

    pub(crate) fn error(&self, error: &(dyn std::error::Error + 'static)) {
        self.debug(&error);
        let mut next = Some(error);
        while let Some(error) = next {
            self.add(error.to_string());
            next = error.source();
        }
    }
}
