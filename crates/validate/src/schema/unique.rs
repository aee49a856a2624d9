//! `uniqueItems`, in time that grows with the document alone.
//!
//! The engine's own check hashes items by what they hold and neither by their kinds nor by their lengths: `[[],[[]]]`
//! and all other trees of brackets have one hash, and each is compared to each. Here every item is written down so that
//! those and only those that are equal are written alike, and what is written is hashed with a key that no caller
//! knows.

use std::collections::HashSet;

use jsonschema::{
    JsonType,
    json::{Array, Json, JsonNumber, Node, Object},
};

/// Whether no two items are equal, as JSON Schema has it: `1` is `1.0`, and the order of members is nothing.
pub(super) fn are_unique<'a, F: Json>(array: &impl Array<'a, F, Node = F::Node<'a>>) -> bool {
    /// Comparing so few is cheaper than hashing them.
    const FEW: usize = 8;

    if array.len() < 2 {
        return true;
    }
    let (written, ends) = write_all::<F>(array);
    let items = ends.iter().scan(0, |start, end| Some(&written[std::mem::replace(start, *end)..*end]));
    if ends.len() <= FEW {
        let rest = |seen: usize| items.clone().skip(seen + 1);
        return items.clone().enumerate().all(|(at, item)| rest(at).all(|other| other != item));
    }
    let mut seen = HashSet::with_capacity(ends.len());
    items.into_iter().all(|item| seen.insert(item))
}

/// All items, and where each ends.
fn write_all<'a, F: Json>(array: &impl Array<'a, F, Node = F::Node<'a>>) -> (Vec<u8>, Vec<usize>) {
    let (mut written, mut ends) = (Vec::new(), Vec::with_capacity(array.len()));
    for item in array.elements() {
        write::<F>(&item, &mut written);
        ends.push(written.len());
    }
    (written, ends)
}

/// Every value begins with its kind, and is of a known length or has an end that begins no value.
fn write<'a, F: Json>(node: &F::Node<'a>, out: &mut Vec<u8>) {
    match node.json_type() {
        JsonType::Null => out.push(b'n'),
        JsonType::Boolean => out.push(if node.as_boolean() == Some(true) { b't' } else { b'f' }),
        JsonType::Number | JsonType::Integer => {
            if let Some(number) = node.as_number() {
                write_number(&number, out);
            }
        }
        JsonType::String => write_text(b's', node.as_string().unwrap_or_default().as_bytes(), out),
        JsonType::Array => {
            out.push(b'[');
            if let Some(array) = node.as_array() {
                array.elements().for_each(|item| write::<F>(&item, out));
            }
            out.push(b']');
        }
        JsonType::Object => {
            out.push(b'{');
            if let Some(object) = node.as_object() {
                let mut members: Vec<_> = object.members().collect();
                members.sort_unstable_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
                for (name, value) in members {
                    write_text(b's', name.as_ref().as_bytes(), out);
                    write::<F>(&value, out);
                }
            }
            out.push(b'}');
        }
    }
}

fn write_text(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&text.len().to_le_bytes());
    out.extend_from_slice(text);
}

/// By its value, however it is written: a whole number exactly, any other by its bits.
fn write_number(number: &impl JsonNumber, out: &mut Vec<u8>) {
    /// Beyond this, and there is no 64-bit integer that it could be equal to.
    const WHOLE: f64 = 1e30;

    let whole = match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(whole), ..) => i128::from(whole),
        (None, Some(whole), _) => i128::from(whole),
        (None, None, Some(float)) if float.fract() == 0.0 && float.abs() < WHOLE => float as i128,
        (None, None, Some(float)) => {
            out.push(b'd');
            return out.extend_from_slice(&float.to_bits().to_le_bytes());
        }
        // None that a float can hold.
        (None, None, None) => return write_text(b'x', number.as_str().as_bytes(), out),
    };
    out.push(b'i');
    out.extend_from_slice(&whole.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use jsonschema::json::{SerdeJson, cmp};
    use serde_json::{Value, json};

    use super::*;
    use crate::{JsonLimits, JsonSchema, json::check_taped};

    fn written(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write::<SerdeJson>(&value, &mut out);
        out
    }

    /// All trees of so many pairs of brackets.
    fn trees(pairs: usize) -> Vec<String> {
        let mut inner = vec![vec![String::new()]];
        for count in 1..pairs {
            // The first pair holds some of the others, and the rest follow it.
            let of = |held: usize| {
                let rest = &inner[count - 1 - held];
                inner[held].iter().flat_map(move |held| {
                    rest.iter().map(move |rest| {
                        let comma = if rest.is_empty() { "" } else { "," };
                        format!("[{held}]{comma}{rest}")
                    })
                })
            };
            inner.push((0..count).flat_map(of).collect());
        }
        inner[pairs - 1].iter().map(|inner| format!("[{inner}]")).collect()
    }

    #[test]
    fn val_02_items_made_to_collide_do_not_and_cost_what_they_are_long() {
        let trees = trees(10);
        assert_eq!(trees.len(), 4862, "Catalan's number: each tree once");
        let text = format!("[{}]", trees.join(","));
        let document: Value = serde_json::from_str(&text).unwrap();
        let items = document.as_array().unwrap().as_slice();
        let (all, ends) = write_all::<SerdeJson>(&items);
        // What is hashed is no longer than the document, and no two items are hashed alike.
        assert!(all.len() <= text.len());
        assert_eq!(items.iter().map(written).collect::<HashSet<_>>().len(), ends.len());

        let schema = JsonSchema::new(&json!({ "uniqueItems": true })).unwrap();
        let twice = format!("[{},{}]", trees.join(","), trees[4000]);
        for (text, expected) in [(text, true), (twice, false)] {
            let (_, tape) = check_taped(text.as_bytes(), &JsonLimits::new()).unwrap();
            assert_eq!(schema.is_valid(&text, &tape), expected);
            let violations = schema.violations(&serde_json::from_str(&text).unwrap());
            let codes: Vec<_> = violations.iter().map(|violation| violation.code()).collect();
            assert_eq!(codes, if expected { vec![] } else { vec!["unique_items"] });
        }
    }

    #[test]
    fn val_04_what_is_equal_is_written_alike_and_nothing_else() {
        let values = [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(-1),
            json!(0.5),
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992.0),
            json!(u64::MAX),
            json!(18_446_744_073_709_551_616.0),
            json!(i64::MIN),
            json!(-9_223_372_036_854_775_808.0),
            json!(1e29),
            json!(1e30),
            json!(1e300),
            json!(""),
            json!("n"),
            json!("1"),
            json!([]),
            json!([[]]),
            json!([[], []]),
            json!([[[]]]),
            json!(["a", "b"]),
            json!(["ab"]),
            json!(["a]", "b"]),
            json!([1, 2]),
            json!([1.0, 2]),
            json!({}),
            json!({ "a": 1, "b": [2] }),
            json!({ "b": [2.0], "a": 1.0 }),
            json!({ "a": {}, "b": [2] }),
            json!({ "a": 1 }),
            json!(["a", 1]),
        ];
        for one in &values {
            for other in &values {
                let alike = written(one) == written(other);
                assert_eq!(alike, cmp::equal(one, other), "{one} {other}");
                let pair = [one.clone(), other.clone()];
                assert_eq!(are_unique::<SerdeJson>(&pair.as_slice()), !alike, "{one} {other}");
            }
        }
    }
}
