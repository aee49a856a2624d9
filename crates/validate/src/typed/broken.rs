//! What a validator found, whichever it is.

use std::borrow::Cow;

use bartizan_core::{Location, Violation};

use crate::pointer;

/// A rule that does not hold: where in the value, its code, and a sentence without the value.
#[derive(Debug)]
pub struct Broken {
    path: Vec<Cow<'static, str>>,
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Broken {
    pub(super) fn new(
        path: impl IntoIterator<Item = Cow<'static, str>>,
        code: &'static str,
        detail: Cow<'static, str>,
    ) -> Self {
        Self { path: pointer::bounded(path), code, detail }
    }

    /// The violation, for a value that was made of this part of a request: of the body, or of the parameters of
    /// one kind, which are the members of the value.
    pub(super) fn at(self, location: Location) -> Violation {
        let Self { path, code, detail } = self;
        if location == Location::Body {
            return Violation::in_body(path, code, detail);
        }
        let name = path.into_iter().next().unwrap_or_default();
        Violation::in_parameter(location, name, code, detail)
    }
}
