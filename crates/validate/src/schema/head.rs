//! What `JsonSchemaLayer` demands of the head of a request.

use bartizan_core::{Reason, Rejection};
use http::request::Parts;

use crate::{
    JsonLimits,
    params::{Findings, ParameterSchema, Template},
    refusal,
};

/// A schema for each place, or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) query: Option<ParameterSchema>,
    pub(super) path: Option<(Template, ParameterSchema)>,
    pub(super) headers: Option<ParameterSchema>,
    pub(super) cookies: Option<ParameterSchema>,
}

impl Head {
    pub(super) fn check(&self, head: &Parts, limits: &JsonLimits) -> Result<(), Rejection> {
        let mut findings = Findings::default();
        if let Some((template, schema)) = &self.path {
            let Some(captured) = template.captures(head.uri.path()) else {
                return Err(Rejection::new(Reason::RouteNotFound).with_layer(refusal::LAYER));
            };
            schema.path(template.names().zip(captured), &mut findings);
        }
        if let Some(schema) = &self.query {
            schema.query(head.uri.query().unwrap_or_default(), limits.max_members(), &mut findings);
        }
        if let Some(schema) = &self.headers {
            schema.headers(&head.headers, &mut findings);
        }
        if let Some(schema) = &self.cookies {
            schema.cookies(&head.headers, limits.max_members(), &mut findings);
        }
        findings.verdict()
    }
}
