//! `application/problem+xml` (RFC 9457 appendix B).

use serde_json::Value;

use super::{Members, json};

pub(super) fn write(members: &Members<'_>) -> Vec<u8> {
    // One description of a problem serves both formats: the XML is made from the JSON.
    let Ok(Value::Object(object)) = serde_json::from_slice(&json::write(members)) else { return Vec::new() };
    let mut out =
        String::from(r#"<?xml version="1.0" encoding="UTF-8"?><problem xmlns="urn:ietf:rfc:7807">"#);
    for (name, value) in &object {
        element(&mut out, name, value);
    }
    out.push_str("</problem>");
    out.into_bytes()
}

/// Objects are elements of their members, arrays are elements named `i`, anything else is text.
fn element(out: &mut String, name: &str, value: &Value) {
    // Names of nested extension values are free text, and XML's are not.
    let name = if is_name(name) { name } else { "member" };
    out.push('<');
    out.push_str(name);
    out.push('>');
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| element(out, name, value)),
        Value::Array(items) => items.iter().for_each(|item| element(out, "i", item)),
        Value::String(text) => escape(out, text),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' => out.push(char),
            '\r' => out.push_str("&#13;"),
            // XML 1.0 section 2.2 has no place for these, escaped or not.
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
}
