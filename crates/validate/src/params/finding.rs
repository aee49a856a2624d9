//! What is wrong with the parameters of a request.

use std::borrow::Cow;

use bartizan_core::{Location, Reason, Rejection, Violation, excerpt};

use super::pairs::BadPairs;
use crate::{refusal, schema::Broken};

/// What was found so far, up to one more than a refusal keeps.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Something does not parse, which is a 400 whatever else is wrong.
    malformed: bool,
    list: Vec<Violation>,
}

impl Findings {
    /// A parameter that does not parse.
    pub(crate) fn malformed(
        &mut self,
        location: Location,
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.malformed = true;
        self.push(location, name, code, detail.into());
    }

    /// A parameter that parses, and is not what it should be.
    #[cfg(feature = "openapi")]
    pub(crate) fn wrong(
        &mut self,
        location: Location,
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.push(location, name, code, detail.into());
    }

    /// What a schema found in the value of one parameter.
    #[cfg(feature = "openapi")]
    pub(crate) fn broken(&mut self, location: Location, name: &str, broken: &[Broken]) {
        for Broken { path, code, detail, .. } in broken {
            self.push(location, name, code, within(path, detail).into());
        }
    }

    /// What a schema found in an object that has all parameters of a location as members.
    pub(crate) fn broken_in_all(&mut self, location: Location, broken: &[Broken]) {
        for Broken { path, code, detail, missing } in broken {
            match (path.split_first(), missing) {
                (Some((name, rest)), _) => self.push(location, name, code, within(rest, detail).into()),
                (None, Some(name)) => self.push(location, name, code, Cow::Borrowed("is required")),
                (None, None) => self.push(location, "", code, detail.clone()),
            }
        }
    }

    /// Names and values that cannot be told apart.
    pub(crate) fn bad_pairs(&mut self, location: Location, error: BadPairs) {
        match error {
            BadPairs::Name => {
                self.malformed(location, "", "parameter_encoding", "has a name that cannot be decoded");
            }
            BadPairs::TooMany(most) => {
                let detail = format!("too many parameters: at most {most} allowed");
                self.malformed(location, "", "parameter_limit", detail);
            }
        }
    }

    fn push(&mut self, location: Location, name: &str, code: &'static str, detail: Cow<'static, str>) {
        if self.list.len() <= Rejection::MAX_VIOLATIONS {
            self.list.push(Violation::in_parameter(location, excerpt(name).into_owned(), code, detail));
        }
    }

    /// Ok when nothing was found.
    pub(crate) fn verdict(self) -> Result<(), Rejection> {
        if self.list.is_empty() {
            return Ok(());
        }
        let reason = if self.malformed { Reason::MalformedRequest } else { Reason::SchemaViolation };
        let rejection = Rejection::new(reason).with_layer(refusal::LAYER);
        Err(self.list.into_iter().fold(rejection, Rejection::with_violation))
    }
}

/// The place within a parameter's value has no member of its own in a problem, so the sentence names it.
fn within(path: &[Cow<'static, str>], detail: &str) -> String {
    if path.is_empty() { detail.to_owned() } else { format!("at `{}`: {detail}", excerpt(&path.join("/"))) }
}
