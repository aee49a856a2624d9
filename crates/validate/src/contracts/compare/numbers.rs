//! Numbers of schemas, compared exactly or not at all.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The order of two numbers, if it is certain.
pub(super) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => {
            let (left, right) = (exact(left)?, exact(right)?);
            left.partial_cmp(&right)
        }
    }
}

/// Whether every multiple of `of` is one of `part`.
pub(super) fn divides(part: &Number, of: &Number) -> bool {
    match (whole(part), whole(of)) {
        (Some(part), Some(of)) => part != 0 && of % part == 0,
        _ => part == of,
    }
}

/// A whole number, which a schema may write as `1.0` too.
fn whole(number: &Number) -> Option<i128> {
    /// Every whole number up to this is one float, and the float is that number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| {
        let float = number.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 53 bits")]
        (float.fract() == 0.0 && float.abs() <= EXACT).then(|| i128::from(float as i64))
    })
}

/// As a float, if that loses nothing.
fn exact(number: &Number) -> Option<f64> {
    let float = number.as_f64()?;
    if number.is_f64() {
        return Some(float);
    }
    (whole(number)?.unsigned_abs() <= 1 << 53).then_some(float)
}

/// The number under a keyword.
pub(super) fn number(value: Option<&Value>) -> Option<&Number> {
    match value {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    }
}

/// Whether two values may be the same to a schema, for which `1` and `1.0` are.
pub(super) fn may_be_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            compare(left, right).is_none_or(|order| order == Ordering::Equal)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| may_be_same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): (&String, &Value)| {
                right.get(name).is_some_and(|other| may_be_same(value, other))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_exactly_or_not_at_all() {
        let order =
            |left: Value, right: Value| compare(number(Some(&left)).unwrap(), number(Some(&right)).unwrap());
        assert_eq!(order(json!(1), json!(1.0)), Some(Ordering::Equal));
        assert_eq!(order(json!(1), json!(1.5)), Some(Ordering::Less));
        assert_eq!(order(json!(u64::MAX), json!(u64::MAX - 1)), Some(Ordering::Greater));
        assert_eq!(order(json!(-0.5), json!(i64::MIN)), None, "no float is this whole number for certain");
        assert_eq!(order(json!(u64::MAX), json!(0.5)), None);
    }

    #[test]
    fn values_are_compared_as_a_schema_does() {
        assert!(may_be_same(&json!({ "a": [1, null] }), &json!({ "a": [1.0, null] })));
        assert!(!may_be_same(&json!([1]), &json!([2])) && !may_be_same(&json!([1]), &json!([1, 1])));
        assert!(!may_be_same(&json!({ "a": 1 }), &json!({ "b": 1 })) && !may_be_same(&json!("1"), &json!(1)));
    }
}
