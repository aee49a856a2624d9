//! Problems that others sent.

use std::fmt;

use serde_json::{Map, Value};

/// A problem received from another service, read as leniently as RFC 9457 section 3 asks: a member of the wrong
/// JSON type is ignored, and so is what is unknown, which stays readable in [`extensions`](Self::extensions).
///
/// ```
/// use bartizan_core::Problem;
///
/// let body = br#"{"title": "Out of stock", "status": "409", "code": "out_of_stock", "sku": 7}"#;
/// let problem = Problem::from_slice(body).unwrap();
/// assert_eq!(problem.title.as_deref(), Some("Out of stock"));
/// assert_eq!(problem.status, None, "a string is no status");
/// assert_eq!(problem.problem_type(), "about:blank");
/// assert_eq!(problem.extensions["sku"], 7);
/// assert!(Problem::from_slice(b"[]").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The problem type, as sent; see [`problem_type`](Self::problem_type).
    pub r#type: Option<String>,
    /// A summary of the type.
    pub title: Option<String>,
    /// The status the sender generated; what arrived may differ.
    pub status: Option<u16>,
    /// What happened this time.
    pub detail: Option<String>,
    /// A URI reference for this occurrence.
    pub instance: Option<String>,
    /// All other members.
    pub extensions: Map<String, Value>,
}

/// A body that is no JSON object, and so no problem.
#[derive(Debug)]
pub struct ProblemError(Option<serde_json::Error>);

impl Problem {
    /// Reads a problem from a JSON body.
    ///
    /// # Errors
    ///
    /// When `body` is not a JSON object.
    pub fn from_slice(body: &[u8]) -> Result<Self, ProblemError> {
        let value = serde_json::from_slice(body).map_err(|error| ProblemError(Some(error)))?;
        let Value::Object(mut members) = value else { return Err(ProblemError(None)) };
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Ok(Self {
            r#type: text("type"),
            title: text("title"),
            detail: text("detail"),
            instance: text("instance"),
            status: members
                .remove("status")
                .and_then(|status| status.as_u64())
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (100..600).contains(status)),
            extensions: members,
        })
    }

    /// The problem type, `about:blank` without one.
    pub fn problem_type(&self) -> &str {
        self.r#type.as_deref().unwrap_or("about:blank")
    }

    /// The stable code that bartizan's refusals carry.
    pub fn code(&self) -> Option<&str> {
        self.extensions.get("code").and_then(Value::as_str)
    }
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is no JSON object, and so no problem")
    }
}

impl std::error::Error for ProblemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_03_members_of_a_wrong_type_are_ignored() {
        let body = br#"{"type": 1, "title": [], "status": 99, "detail": {}, "instance": null, "code": true, "x": 1}"#;
        let problem = Problem::from_slice(body).unwrap();
        let expected = Problem {
            extensions: serde_json::from_str(r#"{"code": true, "x": 1}"#).unwrap(),
            ..Problem::default()
        };
        assert_eq!(problem, expected);
        assert_eq!(problem.code(), None);
    }

    #[test]
    fn err_03_any_object_is_a_problem_and_nothing_else() {
        bolero::check!().for_each(|body: &[u8]| {
            let object = serde_json::from_slice::<Value>(body).is_ok_and(|value| value.is_object());
            assert_eq!(Problem::from_slice(body).is_ok(), object);
        });
    }
}
