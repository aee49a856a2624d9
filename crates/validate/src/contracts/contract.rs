//! One version of what a message has to be.

use std::fmt;

use bartizan_core::Violation;
use serde_json::Value;

use super::compare::{self, Compatibility};
use crate::{JsonLimits, JsonSchema, SchemaError, SchemaOptions, validate_json};

/// One version of what a message has to be: a name, a version, and a JSON Schema.
#[derive(Clone)]
pub struct Contract {
    name: String,
    version: u32,
    source: Value,
    options: SchemaOptions,
    schema: JsonSchema,
}

impl Contract {
    /// A contract whose schema is compiled with the default options.
    ///
    /// # Errors
    ///
    /// As [`SchemaOptions::build`].
    pub fn new(name: impl Into<String>, version: u32, schema: &Value) -> Result<Self, SchemaError> {
        Self::with_options(name, version, schema, JsonSchema::options())
    }

    /// A contract whose schema is compiled with these options.
    ///
    /// # Errors
    ///
    /// As [`SchemaOptions::build`].
    pub fn with_options(
        name: impl Into<String>,
        version: u32,
        schema: &Value,
        options: SchemaOptions,
    ) -> Result<Self, SchemaError> {
        let compiled = options.clone().build(schema)?;
        Ok(Self { name: name.into(), version, source: schema.clone(), options, schema: compiled })
    }

    /// What kind of message it is about: `order.placed`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which version it is.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The schema, as it was given.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// The schema, ready for use.
    pub fn schema(&self) -> &JsonSchema {
        &self.schema
    }

    /// The members that a message must have, as the schema's own `required` names them, in its order.
    pub fn required_fields(&self) -> impl Iterator<Item = &str> {
        self.source["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The members that a message may have, as the schema's own `properties` names them: those that are not required.
    pub fn optional_fields(&self) -> impl Iterator<Item = &str> {
        let properties = self.source["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, _)| name.as_str())
            .filter(|name| self.required_fields().all(|field| field != *name))
    }

    /// The message, if it keeps the contract. It is read under limits, strictly, as the layers read bodies.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with its place: up to 33 entries.
    pub fn validate(&self, message: &[u8], limits: &JsonLimits) -> Result<Value, Vec<Violation>> {
        validate_json(message, &self.schema, limits)
    }

    /// Whether this contract accepts every message that `older` does, so that who reads by this one can read what was
    /// written by that one.
    ///
    /// See [`Compatibility`] for what is compared, and how sure the answer is.
    pub fn accepts_all_of(&self, older: &Self) -> Compatibility {
        compare::compare(older, self)
    }

    pub(super) fn options(&self) -> &SchemaOptions {
        &self.options
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
