//! `application/problem+json`.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Members;
use crate::Violation;

/// Room for a usual problem, so that writing it allocates once.
const USUAL: usize = 384;

pub(super) fn write(members: &Members<'_>) -> Vec<u8> {
    let rejection = members.rejection;
    let mut object = Object(Vec::with_capacity(USUAL));
    if let Some(problem_type) = &members.problem_type {
        object.text("type", problem_type);
    }
    object.text("title", members.title);
    object.value("status", &rejection.reason().status().as_u16());
    object.text("detail", rejection.detail());
    // The alphabets of codes and ids have nothing to escape.
    object.plain("code", rejection.reason().code());
    if let Some(id) = rejection.request_id() {
        object.plain("request_id", id.as_str());
    }
    if !rejection.violations().is_empty() {
        object.value("errors", rejection.violations());
    }
    if rejection.is_truncated() {
        object.value("truncated", &true);
    }
    if !rejection.quotas().is_empty() {
        // The registered type `quota-exceeded` spells its member with a hyphen (draft-ietf-httpapi-ratelimit-headers).
        object.texts("violated-policies", rejection.quotas().iter().map(|quota| &*quota.subject));
    }
    for (name, value) in rejection.extensions() {
        object.value(name.as_str(), value);
    }
    for (name, value) in &members.style.members {
        if !rejection.extensions().iter().any(|(own, _)| own == name) {
            object.value(name.as_str(), value);
        }
    }
    object.finish()
}

/// A JSON object in the making.
struct Object(Vec<u8>);

impl Object {
    /// Names are ours or checked, and need no escapes.
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.string(text);
    }

    /// A text that is a JSON string as it is.
    fn plain(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quote(text);
    }

    fn texts<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a str>) {
        self.name(name);
        for (index, text) in texts.enumerate() {
            self.0.push(if index == 0 { b'[' } else { b',' });
            self.string(text);
        }
        self.0.push(b']');
    }

    fn value(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        self.any(value);
    }

    /// A text as it is where that is a JSON string already, which is the usual case and costs a tenth.
    fn string(&mut self, text: &str) {
        // No early end: it keeps the compiler from looking at many bytes at once.
        let escapes = |found, byte: &u8| found | (*byte < b' ' || *byte == b'"' || *byte == b'\\');
        if text.as_bytes().iter().fold(false, escapes) {
            self.any(text);
        } else {
            self.quote(text);
        }
    }

    fn quote(&mut self, text: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    fn any(&mut self, value: &(impl Serialize + ?Sized)) {
        let start = self.0.len();
        if serde_json::to_writer(&mut self.0, value).is_err() {
            // Strings and values do not fail to be written to memory; the problem stays valid all the same.
            self.0.truncate(start);
            self.0.extend_from_slice(b"null");
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("detail", self.detail())?;
        if let Some(pointer) = self.pointer() {
            map.serialize_entry("pointer", &pointer)?;
        }
        if let Some(parameter) = self.parameter() {
            map.serialize_entry("parameter", parameter)?;
            map.serialize_entry("in", self.location().as_str())?;
        }
        map.serialize_entry("code", self.code())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{QuotaViolation, Reason, Rejection, problem::Style};

    fn problem(rejection: &Rejection) -> Value {
        serde_json::from_slice(&write(&Members::of(rejection, &Style::DEFAULT))).unwrap()
    }

    #[test]
    fn err_12_every_text_is_escaped_as_the_serializer_does() {
        let controls: String = ('\0'..='\u{a0}').collect();
        for text in ["", "plain", "a \"quote\"", "back\\slash", "line\nbreak", "ümläut 🦀", &controls] {
            let rejection = Rejection::new(Reason::MalformedRequest).with_detail(text.to_owned());
            assert_eq!(problem(&rejection)["detail"], json!(text));
        }
    }

    #[test]
    fn rl_06_exhausted_quotas_are_the_violated_policies() {
        let quota = |subject| QuotaViolation { subject, description: "".into() };
        let rejection = Rejection::new(Reason::RateLimited);
        assert_eq!(problem(&rejection).get("violated-policies"), None);
        let rejection = rejection.with_quota(quota("daily".into())).with_quota(quota("a\"b".into()));
        assert_eq!(problem(&rejection)["violated-policies"], json!(["daily", "a\"b"]));
        let xml = super::super::xml::write(&Members::of(&rejection, &Style::DEFAULT));
        let xml = String::from_utf8(xml).unwrap();
        assert!(xml.contains("<violated-policies><i>daily</i>"), "{xml}");
    }
}
