//! The engine without a layer.

use bartizan_core::Violation;
use serde_json::Value;

use super::JsonSchema;
use crate::{JsonLimits, json, refusal};

/// The document that `bytes` are, if it is strictly JSON, within `limits`, and keeps `schema`: what the layers demand
/// of bodies, for documents that do not come by HTTP.
///
/// ```
/// use bartizan_validate::{JsonLimits, JsonSchema, validate_json};
/// use serde_json::json;
///
/// # fn main() -> Result<(), bartizan_validate::SchemaError> {
/// let (schema, limits) = (JsonSchema::new(&json!({ "type": "object" }))?, JsonLimits::new());
/// assert_eq!(validate_json(b"{\"a\":1}", &schema, &limits).unwrap(), json!({ "a": 1 }));
/// assert_eq!(validate_json(b"{\"a\":1,\"a\":2}", &schema, &limits).unwrap_err()[0].code(), "duplicate_key");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// What is wrong, with its place: of a document that is not JSON or over a limit the first fault, of one that breaks
/// its schema up to 33 entries.
pub fn validate_json(
    bytes: &[u8],
    schema: &JsonSchema,
    limits: &JsonLimits,
) -> Result<Value, Vec<Violation>> {
    if bytes.len() > limits.max_body() {
        let detail = format!("too long: at most {} bytes allowed", limits.max_body());
        return Err(vec![Violation::in_body([""; 0], "json_limit", detail)]);
    }
    let text = json::check(bytes, limits).map_err(|violation| vec![violation])?;
    let document = serde_json::from_str(text).map_err(|_| vec![refusal::number_out_of_range()])?;
    let violations = schema.violations(&document);
    if violations.is_empty() { Ok(document) } else { Err(violations) }
}
