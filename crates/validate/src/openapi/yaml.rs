//! YAML 1.2 as JSON: what both can say.

use std::borrow::Cow;

use saphyr::{Scalar, ScalarStyle, Tag, Yaml, YamlLoader};
use saphyr_parser::Parser;
use serde_json::{Map, Number, Value};

/// Deeper than this, and the document is no description of an API.
const MAX_DEPTH: usize = 128;

/// The one document in `text`, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Value, Cow<'static, str>> {
    let mut loader = YamlLoader::<Yaml<'_>>::default();
    // A key such as `200` is a name, and keeps its text.
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true).map_err(|error| Cow::Owned(error.to_string()))?;
    if let Some(error) = loader.error() {
        return Err(Cow::Owned(error.to_string()));
    }
    let mut documents = loader.into_documents();
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => convert(document, 0),
        _ => Err("must be one YAML document".into()),
    }
}

fn convert(node: Yaml<'_>, depth: usize) -> Result<Value, Cow<'static, str>> {
    if depth > MAX_DEPTH {
        return Err("is too deep".into());
    }
    match node {
        Yaml::Representation(text, style, tag) => scalar(text, style, tag.as_ref()),
        Yaml::Value(value) => Ok(known(value)),
        Yaml::Sequence(items) => {
            items.into_iter().map(|item| convert(item, depth + 1)).collect::<Result<_, _>>().map(Value::Array)
        }
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let Yaml::Representation(name, ..) = name else {
                    return Err("has a key that is no text".into());
                };
                if object.insert(name.clone().into_owned(), convert(value, depth + 1)?).is_some() {
                    return Err(format!("has the key `{name}` twice").into());
                }
            }
            Ok(Value::Object(object))
        }
        Yaml::Tagged(_, inner) => convert(*inner, depth),
        Yaml::Alias(_) | Yaml::BadValue => Err("has a value that JSON cannot say".into()),
    }
}

fn scalar<'a>(
    text: Cow<'a, str>,
    style: ScalarStyle,
    tag: Option<&Cow<'a, Tag>>,
) -> Result<Value, Cow<'static, str>> {
    if style == ScalarStyle::Plain && tag.is_none() {
        // Numbers as JSON writes them keep all their digits.
        if let Ok(number) = serde_json::from_str::<Number>(&text) {
            return Ok(Value::Number(number));
        }
    }
    let value = Scalar::parse_from_cow_and_metadata(text, style, tag);
    value.map(known).ok_or_else(|| "has a value that is not of its tag's type".into())
}

fn known(value: Scalar<'_>) -> Value {
    match value {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::from(value),
        Scalar::FloatingPoint(value) => Number::from_f64(value.into_inner())
            .map_or_else(|| Value::String(value.to_string()), Value::Number),
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn val_05_yaml_is_read_as_json() {
        for (text, expected) in [
            ("a: 1", json!({ "a": 1 })),
            ("200: {description: ok}", json!({ "200": { "description": "ok" } })),
            ("{\"a\": [1, 2.5, -3e2, null, true]}", json!({ "a": [1, 2.5, -300.0, null, true] })),
            ("[~, null, '', \"1\", yes, 0x10, 1_000]", json!([null, null, "", "1", "yes", 16, "1_000"])),
            ("a: 18446744073709551615", json!({ "a": 18_446_744_073_709_551_615_u64 })),
            ("a: 2026-01-02", json!({ "a": "2026-01-02" })),
            ("a: |\n  one\n  two\n", json!({ "a": "one\ntwo\n" })),
            ("a: &x {b: 1}\nc: *x", json!({ "a": { "b": 1 }, "c": { "b": 1 } })),
            ("a:", json!({ "a": null })),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn lay_06_what_is_no_document_is_refused() {
        let bomb = (1..40).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
            let below = level - 1;
            format!("{text}a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n")
        });
        let deep = "[".repeat(500) + &"]".repeat(500);
        for text in
            ["", "a: 1\n---\nb: 2", "a: 1\na: 2", "\"a\": 1\na: 2", "[1", "? [1]\n: 2", "a: *x", &bomb, &deep]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
