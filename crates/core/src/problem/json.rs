//! `application/problem+json`.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Members;
use crate::Violation;

/// Room for a usual problem, so that writing it allocates once.
const USUAL: usize = 384;

pub(super) fn write(members: &Members<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(USUAL);
    match serde_json::to_writer(&mut body, members) {
        Ok(()) => body,
        // Writing strings and values to memory does not fail; a bare object is a valid problem all the same.
        Err(_) => b"{}".to_vec(),
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rejection = self.rejection;
        let mut map = serializer.serialize_map(None)?;
        if let Some(problem_type) = &self.problem_type {
            map.serialize_entry("type", problem_type)?;
        }
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("status", &rejection.reason().status().as_u16())?;
        map.serialize_entry("detail", rejection.detail())?;
        map.serialize_entry("code", rejection.reason().code())?;
        if let Some(id) = rejection.request_id() {
            map.serialize_entry("request_id", id.as_str())?;
        }
        if !rejection.violations().is_empty() {
            map.serialize_entry("errors", rejection.violations())?;
        }
        if rejection.is_truncated() {
            map.serialize_entry("truncated", &true)?;
        }
        for (name, value) in rejection.extensions() {
            map.serialize_entry(name.as_str(), value)?;
        }
        for (name, value) in &self.style.members {
            if !rejection.extensions().iter().any(|(own, _)| own == name) {
                map.serialize_entry(name.as_str(), value)?;
            }
        }
        map.end()
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
