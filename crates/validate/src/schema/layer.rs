//! The layer that demands a schema.

use std::sync::Arc;

use bartizan_core::Rejection;
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::{JsonSchema, head::Head};
use crate::{
    ConfigError, JsonLimits, OtherMedia, ParameterSchema, ValidateLayer,
    check::{Announced, Check, Plan, Which},
    json, refusal,
    settings::Settings,
};

/// Refuses bodies that break a JSON Schema, with every mistake at its place; and queries, paths, headers and cookies
/// that break theirs.
///
/// See the [crate's documentation](crate#schemas) for an example and for the behaviour.
pub type JsonSchemaLayer = ValidateLayer<BySchema>;

/// The body keeps a schema, and so do the parameters that have one.
#[derive(Clone, Debug)]
pub struct BySchema {
    body: Option<JsonSchema>,
    head: Head,
}

impl JsonSchemaLayer {
    /// Default limits, `application/json`, and other types are refused.
    pub fn new(schema: JsonSchema) -> Self {
        Self::of(BySchema { body: Some(schema), head: Head::default() })
    }

    /// For requests whose parameters alone are judged: bodies go on unread. Say which with
    /// [`with_query`](Self::with_query) and its kin.
    pub fn for_parameters() -> Self {
        Self::of(BySchema { body: None, head: Head::default() }).with_other_media(OtherMedia::Pass)
    }

    /// What the query must be: an object whose members are the parameters. There are none that it does not know when
    /// it says `"additionalProperties": false`.
    pub fn with_query(self, schema: ParameterSchema) -> Self {
        self.with_head(|head| head.query = Some(schema))
    }

    /// What stands for the names of a path template (`/orders/{id}`): an object that has them as members. A request
    /// whose path, as this layer sees it, is not of the template is a 404: the layer belongs on the template's route.
    ///
    /// # Errors
    ///
    /// When `template` is none: it begins with `/`, and has each name in braces and once.
    pub fn with_path(self, template: &str, schema: ParameterSchema) -> Result<Self, ConfigError> {
        let parsed = crate::params::Template::parse(template)
            .map_err(|error| ConfigError::Template { given: template.to_owned(), why: error.to_string() })?;
        Ok(self.with_head(|head| head.path = Some((parsed, schema))))
    }

    /// What headers must be: an object that has them as members. Case does not matter, and headers that the schema
    /// does not name pass.
    pub fn with_headers(self, schema: ParameterSchema) -> Self {
        self.with_head(|head| head.headers = Some(schema))
    }

    /// What cookies must be: an object that has them as members. Cookies that the schema does not name pass.
    pub fn with_cookies(self, schema: ParameterSchema) -> Self {
        self.with_head(|head| head.cookies = Some(schema))
    }

    fn with_head(self, set: impl FnOnce(&mut Head)) -> Self {
        self.with_check(|check| {
            let mut check = BySchema::clone(check);
            set(&mut check.head);
            Arc::new(check)
        })
    }
}

impl Check for BySchema {
    fn plan(
        &self,
        settings: &Settings,
        head: &mut Parts,
        announced: Announced,
    ) -> Result<(Plan, Which), Rejection> {
        let plan = match self.body {
            Some(_) => settings.plan(head, announced)?,
            None => Plan::Pass,
        };
        self.head.check(head, &settings.limits)?;
        Ok((plan, Which::default()))
    }

    fn body(&self, text: &str, _: &mut Parts) -> Result<(), Rejection> {
        let Some(schema) = &self.body else { return Ok(()) };
        let document: Value = serde_json::from_str(text).map_err(|_| refusal::out_of_range())?;
        let violations = schema.violations(&document);
        if violations.is_empty() { Ok(()) } else { Err(refusal::violates(violations)) }
    }

    // Most documents are valid, and to see that takes no more than a list of their values; the document is built to
    // tell what is wrong with one.
    fn read(&self, bytes: &Bytes, limits: &JsonLimits, head: &mut Parts) -> Result<(), Rejection> {
        let (text, tape) = json::check_taped(bytes, limits).map_err(refusal::malformed)?;
        let is_valid = self.body.as_ref().is_none_or(|schema| schema.is_valid(text, &tape));
        if is_valid { Ok(()) } else { self.body(text, head) }
    }
}
