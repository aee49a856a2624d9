//! Does one contract accept all that another does?

mod document;
mod facts;
mod numbers;
mod proof;
#[cfg(test)]
mod tests;
mod witness;

use std::fmt;

use bartizan_core::Violation;
use serde_json::Value;

use self::document::Document;
use super::Contract;

/// Whether a contract accepts every message that an older one does.
///
/// Either answer is certain. [`Compatible`](Self::Compatible) is proven, keyword by keyword, over this part of JSON
/// Schema 2020-12 and 2019-09, and of drafts 7 and 6: `type`, `enum`, `const`, the bounds of numbers, strings, arrays
/// and objects, `multipleOf`, `uniqueItems`, `items`, `required`, `properties`, `additionalProperties`, `allOf`,
/// `anyOf` and `oneOf` of the older one split into their cases, `anyOf` of the newer one by a case that holds all,
/// `oneOf` by the one case that is not told apart by its type or by the value of a required member, and `$ref` within
/// the document. `pattern`, `format` where it is asserted, and all other keywords must be in the older one too, as they
/// are. [`Breaks`](Self::Breaks) comes with a message that the older contract accepts and the newer refuses, both
/// asked. Everything else is [`Unknown`](Self::Unknown): draft 4, a draft from before `$ref` had siblings and one from
/// after it, references that lead back or out of the document, `$id` or `$dynamicRef` inside of it, and what is too
/// large to decide.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Compatibility {
    /// Every message that the older contract accepts, it accepts.
    Compatible,
    /// It refuses a message that the older contract accepts.
    Breaks {
        /// Such a message, made from the schemas.
        example: Value,
        /// What the newer contract finds wrong with it.
        violations: Vec<Violation>,
    },
    /// It could not be told.
    Unknown {
        /// The place in the newer schema where the proof ended, as a JSON Pointer.
        at: String,
        /// What could not be decided there.
        why: &'static str,
    },
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compatible => f.write_str("it accepts all that the older one does"),
            Self::Breaks { violations, .. } => {
                f.write_str("it refuses what the older one accepts")?;
                let Some(first) = violations.first() else { return Ok(()) };
                let pointer = first.pointer().unwrap_or_default();
                write!(f, ": {pointer} {}", first.detail())
            }
            Self::Unknown { at, why } => write!(f, "it cannot be told: {why} at #{at}"),
        }
    }
}

/// A place in the newer schema at which the proof ended.
#[derive(Debug)]
struct Doubt {
    at: String,
    why: &'static str,
}

pub(super) fn compare(older: &Contract, newer: &Contract) -> Compatibility {
    let (old, new) = (Document::of(older), Document::of(newer));
    let doubt = match proof::holds(&old, &new) {
        Ok(()) => return Compatibility::Compatible,
        Err(doubt) => doubt,
    };
    let broken = |example: &Value| {
        let violations = newer.schema().violations(example);
        (!violations.is_empty() && older.schema().violations(example).is_empty()).then_some(violations)
    };
    for example in witness::candidates(&old, &new) {
        if let Some(violations) = broken(&example) {
            return Compatibility::Breaks { example, violations };
        }
    }
    Compatibility::Unknown { at: doubt.at, why: doubt.why }
}
