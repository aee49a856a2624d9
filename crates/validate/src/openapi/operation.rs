//! One operation of an API.

use bartizan_core::{Location, Rejection};
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value};

use super::{
    OpenApiError,
    body::{Body, Content},
    compile::Compiler,
    document::Place,
    parameter::{Given, Parameter},
    security::{Schemes, Security},
};
use crate::{
    JsonLimits,
    params::{Findings, Pairs, cookies},
};

/// An operation, and how its requests are judged.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) id: Option<String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) security: Security,
    /// Parameters of the query that carry keys.
    keys: Vec<String>,
    reads_query: bool,
    reads_cookies: bool,
}

/// What all operations of a path share.
pub(super) struct PathItem<'a> {
    pub(super) names: Vec<&'a str>,
    /// Where the parameters are that all operations have.
    pub(super) parameters: Vec<Place>,
}

/// What all operations share.
pub(super) struct Shared<'a> {
    pub(super) compiler: &'a Compiler<'a>,
    pub(super) schemes: &'a Schemes,
    /// What the document demands where the operation does not say.
    pub(super) security: Security,
    pub(super) strict_query: bool,
    pub(super) checks_security: bool,
}

/// The places of the parameters that `holder` lists.
pub(super) fn listed(holder: &Map<String, Value>, place: &Place) -> Result<Vec<Place>, OpenApiError> {
    let place = place.child("parameters");
    match holder.get("parameters") {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok((0..list.len()).map(|at| place.child(&at.to_string())).collect()),
        Some(_) => Err(OpenApiError::at(&place, "must be a list")),
    }
}

impl Operation {
    pub(super) fn compile(
        method: Method,
        place: &Place,
        object: &Map<String, Value>,
        item: &PathItem<'_>,
        shared: &Shared<'_>,
        contents: &mut Vec<Content>,
    ) -> Result<Self, OpenApiError> {
        let compiler = shared.compiler;
        let mut parameters = Vec::new();
        let own = listed(object, place)?;
        let inherited = item.parameters.len();
        for (at, place) in item.parameters.iter().chain(&own).enumerate() {
            let (place, object) = compiler.documents.object(place.clone())?;
            let Some(parameter) = Parameter::compile(&place, object, &item.names, compiler)? else {
                continue;
            };
            let same = |(_, known): &(usize, Parameter)| {
                known.location == parameter.location
                    && match known.location {
                        Location::Header => known.name.eq_ignore_ascii_case(&parameter.name),
                        _ => known.name == parameter.name,
                    }
            };
            match parameters.iter().position(same) {
                // The operation's own parameter wins over the path's.
                Some(known) if parameters[known].0 < inherited && at >= inherited => {
                    parameters[known] = (at, parameter);
                }
                Some(_) => return Err(OpenApiError::at(&place, "this parameter is there twice")),
                None => parameters.push((at, parameter)),
            }
        }
        let mut parameters: Vec<_> = parameters.into_iter().map(|(_, parameter)| parameter).collect();
        for name in &item.names {
            let is_it =
                |parameter: &Parameter| parameter.location == Location::Path && parameter.name == *name;
            if !parameters.iter().any(is_it) {
                let what = format!("the path's `{name}` is no parameter of the operation");
                return Err(OpenApiError::at(place, what));
            }
        }
        leave_each_other(&mut parameters);
        let body = match object.get("requestBody") {
            Some(_) => {
                let (place, object) = compiler.documents.object(place.child("requestBody"))?;
                Some(Body::compile(&place, object, compiler, contents)?)
            }
            None => None,
        };
        let security = match object.get("security") {
            Some(list) => Security::compile(list, &place.child("security"), shared.schemes)?,
            None => shared.security.clone(),
        };
        let has = |location: Location| parameters.iter().any(|parameter| parameter.location == location);
        Ok(Self {
            method,
            id: object.get("operationId").and_then(Value::as_str).map(str::to_owned),
            reads_query: has(Location::Query) || shared.strict_query,
            reads_cookies: has(Location::Cookie),
            parameters,
            body,
            security: if shared.checks_security { security } else { Security::default() },
            keys: shared.schemes.query_names().map(str::to_owned).collect(),
        })
    }

    /// Judges everything outside of the body.
    pub(super) fn check(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        captures: &[&str],
        limits: &JsonLimits,
        strict_query: bool,
    ) -> Result<(), Rejection> {
        if self.parameters.is_empty() && !strict_query {
            return Ok(());
        }
        let mut findings = Findings::default();
        let most = limits.max_members();
        let mut given =
            Given { captures, query: Pairs::default(), cookies: Pairs::default(), headers, limits };
        if let Some(query) = uri.query().filter(|_| self.reads_query) {
            match Pairs::of_query(query, most) {
                Ok(pairs) => given.query = pairs,
                Err(error) => {
                    findings.bad_pairs(Location::Query, error);
                    return findings.verdict();
                }
            }
        }
        if self.reads_cookies {
            match cookies(headers, most) {
                Ok(pairs) => given.cookies = pairs,
                Err(error) => {
                    findings.bad_pairs(Location::Cookie, error);
                    return findings.verdict();
                }
            }
        }
        for parameter in &self.parameters {
            parameter.check(&given, &mut findings);
        }
        if strict_query {
            self.check_names(&given.query, &mut findings);
        }
        findings.verdict()
    }

    /// No parameter of the query that the document does not know.
    fn check_names(&self, query: &Pairs<'_>, findings: &mut Findings) {
        for (name, _) in query.iter() {
            let is_known = self.keys.iter().any(|key| key == name)
                || self
                    .parameters
                    .iter()
                    .any(|parameter| parameter.location == Location::Query && parameter.claims(name));
            if !is_known {
                findings.wrong(
                    Location::Query,
                    name,
                    "unknown_parameter",
                    "is not a parameter that is known here",
                );
            }
        }
    }

    /// Whether nothing, or not everything, that a request may bring has a schema.
    pub(super) fn lacks_schemas(&self) -> bool {
        let body = self
            .body
            .as_ref()
            .map_or(matches!(self.method, Method::POST | Method::PUT | Method::PATCH), |body| {
                !body.has_schemas()
            });
        body || self.parameters.iter().any(|parameter| parameter.schema.is_none())
    }
}

/// An object of any members, written as parameters of the same location, has none of the other parameters.
fn leave_each_other(parameters: &mut [Parameter]) {
    let names: Vec<_> =
        parameters.iter().map(|parameter| (parameter.location, parameter.name.clone())).collect();
    for parameter in parameters {
        let others = names
            .iter()
            .filter(|(location, name)| *location == parameter.location && *name != parameter.name)
            .map(|(_, name)| name.clone())
            .collect();
        parameter.leave(others);
    }
}
