//! The rules of the `garde` crate.

use std::{borrow::Cow, fmt::Display, ops::Deref};

use bartizan_core::{Rejection, excerpt};
use garde::{
    Path, Validate,
    i18n::{I18n, InvalidCreditCard, InvalidEmail, InvalidPhoneNumber, InvalidUrl, IpKind, with_i18n},
};
use serde::Deserialize;

use super::{Broken, Rules};

/// A value whose rules are those of the [`garde`] crate, wherever this crate asks for rules.
///
/// The context of the rules is the default one. The code of a rule of garde's is the rule's name; of one of your own
/// it is `invalid`, with your message as the detail.
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use bartizan_validate::{Garde, Valid};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, garde::Validate)]
/// struct Order {
///     #[garde(range(min = 1, max = 1000))]
///     quantity: u32,
/// }
///
/// async fn create(Valid(Garde(order)): Valid<Garde<Order>>) -> String {
///     format!("{} ordered", order.quantity)
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Garde<T>(pub T);

impl<T> Deref for Garde<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Validate<Context: Default>> Rules for Garde<T> {
    fn broken(&self) -> Vec<Broken> {
        let Err(report) = with_i18n(Coded, || self.0.validate()) else { return Vec::new() };
        report
            .iter()
            .take(Rejection::MAX_VIOLATIONS + 1)
            .map(|(path, error)| {
                let (code, detail) = told(error.message());
                Broken::new(segments(path), code, Cow::Owned(excerpt(detail).into_owned()))
            })
            .collect()
    }
}

/// garde shows a path in two ways: as text, in which a dot may be part of a name, and to serde as what it is.
fn segments(path: &Path) -> Vec<Cow<'static, str>> {
    let Ok(serde_json::Value::Array(parts)) = serde_json::to_value(path) else { return Vec::new() };
    let named = parts.iter().filter(|part| part[0] != "none");
    named.filter_map(|part| part[1].as_str()).map(|name| Cow::Owned(name.to_owned())).collect()
}

/// garde's errors are words alone. Its words can be replaced, so ours are the name of the rule and a sentence.
struct Coded;

/// Stands before the name of a rule and after it. No word of a person's has it.
const MARK: char = '\u{1f}';

/// The names of garde's rules.
const RULES: [&str; 15] = [
    "length",
    "range",
    "credit_card",
    "pattern",
    "contains",
    "url",
    "prefix",
    "suffix",
    "phone_number",
    "ip",
    "matches",
    "email",
    "ascii",
    "alphanumeric",
    "required",
];

/// The code and the sentence of a message, which is [`Coded`]'s or that of a rule of the user's.
fn told(message: &str) -> (&'static str, &str) {
    let coded = message.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK));
    let Some((name, sentence)) = coded else { return ("invalid", message) };
    let code = RULES.into_iter().find(|rule| *rule == name).unwrap_or("invalid");
    (code, sentence)
}

fn tell(rule: &'static str, sentence: impl Display) -> Cow<'static, str> {
    Cow::Owned(format!("{MARK}{rule}{MARK}{sentence}"))
}

/// No sentence repeats the value; what garde calls a reason is one of its own texts.
impl I18n for Coded {
    fn length_lower_than(&self, min: usize) -> Cow<'static, str> {
        tell("length", format_args!("must have at least {min}"))
    }

    fn length_greater_than(&self, max: usize) -> Cow<'static, str> {
        tell("length", format_args!("must have at most {max}"))
    }

    fn range_lower_than(&self, min: &dyn Display) -> Cow<'static, str> {
        tell("range", format_args!("must be at least {min}"))
    }

    fn range_greater_than(&self, max: &dyn Display) -> Cow<'static, str> {
        tell("range", format_args!("must be at most {max}"))
    }

    fn credit_card_invalid(&self, reason: InvalidCreditCard) -> Cow<'static, str> {
        tell("credit_card", format_args!("must be a credit card number: {reason}"))
    }

    fn pattern_no_match(&self, _: &dyn Display) -> Cow<'static, str> {
        tell("pattern", "must have the form that is asked for")
    }

    fn contains_missing(&self, pattern: &dyn Display) -> Cow<'static, str> {
        tell("contains", format_args!("must contain {pattern}"))
    }

    fn url_invalid(&self, reason: InvalidUrl) -> Cow<'static, str> {
        tell("url", format_args!("must be a URL: {reason}"))
    }

    fn prefix_missing(&self, pattern: &dyn Display) -> Cow<'static, str> {
        tell("prefix", format_args!("must begin with {pattern}"))
    }

    fn suffix_missing(&self, pattern: &dyn Display) -> Cow<'static, str> {
        tell("suffix", format_args!("must end with {pattern}"))
    }

    fn phone_number_invalid(&self, reason: InvalidPhoneNumber) -> Cow<'static, str> {
        tell("phone_number", format_args!("must be a phone number: {reason}"))
    }

    fn ip_invalid(&self, kind: IpKind) -> Cow<'static, str> {
        tell("ip", format_args!("must be an {kind} address"))
    }

    fn matches_field_mismatch(&self, field: &dyn Display) -> Cow<'static, str> {
        tell("matches", format_args!("must be the same as {field}"))
    }

    fn email_invalid(&self, reason: InvalidEmail) -> Cow<'static, str> {
        tell("email", format_args!("must be an email address: {reason}"))
    }

    fn ascii_invalid(&self) -> Cow<'static, str> {
        tell("ascii", "must be ASCII")
    }

    fn alphanumeric_invalid(&self) -> Cow<'static, str> {
        tell("alphanumeric", "must be letters and digits")
    }

    fn required_not_set(&self) -> Cow<'static, str> {
        tell("required", "is required")
    }
}
