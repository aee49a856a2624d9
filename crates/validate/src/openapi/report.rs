//! What a description says of itself, and how it fits a router.

use std::{collections::BTreeSet, fmt};

use super::api::Compiled;

/// What people should know of a description when the service starts; `Display` shows it line by line.
///
/// ```
/// use bartizan_validate::OpenApi;
///
/// # fn main() -> Result<(), bartizan_validate::OpenApiError> {
/// let api = OpenApi::new("
/// openapi: 3.1.0
/// info: { title: Orders, version: '1' }
/// paths:
///   /orders: { post: {}, get: {} }
/// ")?;
/// let report = api.report().against(["GET /orders", "/health"]);
/// assert_eq!(report.without_schema(), ["POST /orders"]);
/// assert_eq!(report.missing_routes(), ["POST /orders"]);
/// assert_eq!(report.undocumented_routes(), ["/health"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenApiReport {
    /// Method and path, as the service sees it.
    operations: Vec<String>,
    without_schema: Vec<String>,
    missing: Vec<String>,
    undocumented: Vec<String>,
}

impl OpenApiReport {
    pub(super) fn of(api: &Compiled) -> Self {
        let mut operations = BTreeSet::new();
        let mut without_schema = BTreeSet::new();
        for path in &api.paths {
            for (method, at) in path.methods() {
                let name = format!("{method} {}", path.template);
                if api.operations[*at].lacks_schemas() {
                    without_schema.insert(name.clone());
                }
                operations.insert(name);
            }
        }
        Self {
            operations: operations.into_iter().collect(),
            without_schema: without_schema.into_iter().collect(),
            missing: Vec::new(),
            undocumented: Vec::new(),
        }
    }

    /// Compares with the routes that a router has: `/orders/{id}`, or `GET /orders/{id}` where the method is known.
    /// How names are called does not matter.
    #[must_use]
    pub fn against<I>(mut self, routes: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let routes: Vec<_> = routes.into_iter().map(|route| route.as_ref().to_owned()).collect();
        let has = |operation: &str, route: &str| {
            let (operation, route) = (anonymous(operation), anonymous(route));
            operation == route || operation.split_once(' ').is_some_and(|(_, path)| path == route)
        };
        let missing = |operation: &&String| !routes.iter().any(|route| has(operation, route));
        self.missing = self.operations.iter().filter(missing).cloned().collect();
        let undocumented = |route: &&String| !self.operations.iter().any(|operation| has(operation, route));
        self.undocumented = routes.iter().filter(undocumented).cloned().collect();
        self
    }

    /// Every operation, with the base path of its server: `GET /v1/orders/{id}`.
    pub fn operations(&self) -> &[String] {
        &self.operations
    }

    /// Operations of which something is not judged: a parameter or a body has no schema, or POST, PUT and PATCH have
    /// no body that is described.
    pub fn without_schema(&self) -> &[String] {
        &self.without_schema
    }

    /// Operations for which the router has no route.
    pub fn missing_routes(&self) -> &[String] {
        &self.missing
    }

    /// Routes that the description does not know.
    pub fn undocumented_routes(&self) -> &[String] {
        &self.undocumented
    }

    /// Whether there is nothing to tell.
    pub fn is_clean(&self) -> bool {
        self.without_schema.is_empty() && self.missing.is_empty() && self.undocumented.is_empty()
    }
}

/// A path without the names in it.
fn anonymous(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '{' => inside = true,
            '}' => {
                inside = false;
                text.push_str("{}");
            }
            _ if inside => {}
            other => text.push(other),
        }
    }
    text
}

impl fmt::Display for OpenApiReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operations", self.operations.len())?;
        for (title, list) in [
            ("not judged completely", &self.without_schema),
            ("described, and not routed", &self.missing),
            ("routed, and not described", &self.undocumented),
        ] {
            for entry in list {
                writeln!(f, "{title}: {entry}")?;
            }
        }
        Ok(())
    }
}
