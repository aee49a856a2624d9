//! The rules of the `validator` crate.

use std::borrow::Cow;

use bartizan_core::Rejection;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::{Broken, Rules};

impl<T: Validate> Rules for T {
    fn broken(&self) -> Vec<Broken> {
        let mut found = Vec::new();
        if let Err(errors) = self.validate() {
            collect(&errors, &mut Vec::new(), &mut found);
        }
        found
    }
}

/// In the order of their places.
fn collect(errors: &ValidationErrors, path: &mut Vec<Cow<'static, str>>, found: &mut Vec<Broken>) {
    let mut fields: Vec<_> = errors.0.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    for (name, kind) in fields {
        if found.len() > Rejection::MAX_VIOLATIONS {
            return;
        }
        // The validator's name for a rule about the whole struct.
        let own = *name != "__all__";
        if own {
            path.push(name.clone());
        }
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, path, found),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    path.push(Cow::Owned(index.to_string()));
                    collect(inner, path, found);
                    path.pop();
                }
            }
            ValidationErrorsKind::Field(rules) => {
                let broken = |rule| Broken::new(path.iter().cloned(), code(rule), detail(rule));
                found.extend(rules.iter().map(broken));
            }
        }
        if own {
            path.pop();
        }
    }
}

/// The code, if it is a text of the program: what is made at run time is no label and no API.
fn code(rule: &ValidationError) -> &'static str {
    match rule.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => "invalid",
    }
}

/// The rule's own message, or one for the built-in rules; the value that breaks it is not told.
fn detail(rule: &ValidationError) -> Cow<'static, str> {
    if let Some(message) = &rule.message {
        return message.clone();
    }
    let param = |name: &str| rule.params.get(name);
    match &*rule.code {
        "length" => bounds(
            "must have",
            [("at least", param("min")), ("at most", param("max")), ("exactly", param("equal"))],
        ),
        "range" => bounds(
            "must be",
            [
                ("at least", param("min").or(param("exclusive_min"))),
                ("at most", param("max").or(param("exclusive_max"))),
                ("exactly", None),
            ],
        ),
        "required" | "required_nested" => Cow::Borrowed("is required"),
        "email" => Cow::Borrowed("must be an email address"),
        "url" => Cow::Borrowed("must be a URL"),
        "ip" | "ipv4" | "ipv6" => Cow::Borrowed("must be an IP address"),
        "regex" => Cow::Borrowed("must have the form that is asked for"),
        "must_match" => Cow::Borrowed("must be the same as its counterpart"),
        _ => Cow::Borrowed("is not valid"),
    }
}

fn bounds(verb: &str, bounds: [(&str, Option<&serde_json::Value>); 3]) -> Cow<'static, str> {
    let bounds: Vec<_> =
        bounds.iter().filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}"))).collect();
    Cow::Owned(format!("{verb} {}", bounds.join(" and ")))
}
