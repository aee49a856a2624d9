//! A description of an API, ready for use.

use std::{fmt, sync::Arc};

use http::{HeaderValue, Method};
use serde_json::{Map, Value};

use super::{
    OpenApiError, OpenApiOptions, OpenApiReport, Unlisted,
    body::Content,
    compile::Compiler,
    dialect::{self, Version},
    document::{self, Documents, Place},
    grammar::{self, Found},
    operation::{Operation, PathItem, Shared, listed},
    read_only::{self, ReadOnly},
    routes::Routes,
    security::{Schemes, Security},
    servers,
};
use crate::{Formats, params::Template};

/// The most ways, by servers and paths, to all operations together.
const MAX_ROUTES: usize = 100_000;

/// A description of an API, in OpenAPI 3.0 or 3.1, with every schema compiled. Clones share it.
///
/// See the [crate's documentation](crate#openapi) for an example.
#[derive(Clone)]
pub struct OpenApi(pub(super) Arc<Compiled>);

/// What a description demands.
pub(super) struct Compiled {
    pub(super) routes: Routes,
    pub(super) paths: Vec<Path>,
    pub(super) operations: Vec<Operation>,
    pub(super) contents: Vec<Content>,
    pub(super) read_only: ReadOnly,
    pub(super) strict_query: bool,
    pub(super) unlisted: Unlisted,
}

/// A path as the service sees it, and what can be done there.
pub(super) struct Path {
    /// With the server's base path.
    pub(super) template: Arc<str>,
    methods: Vec<(Method, usize)>,
    /// What a refusal says in `Allow`.
    pub(super) allow: HeaderValue,
}

impl Path {
    /// The operation for a method. HEAD is GET, unless it is an operation of its own (RFC 9110 section 9.3.2).
    pub(super) fn operation(&self, method: &Method) -> Option<usize> {
        let of = |wanted: &Method| self.methods.iter().find(|(known, _)| known == wanted).map(|(_, at)| *at);
        of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None })
    }

    /// Each method, with the number of its operation.
    pub(super) fn methods(&self) -> impl Iterator<Item = &(Method, usize)> {
        self.methods.iter()
    }

    fn allow(&self) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
        let mut names: Vec<_> = self.methods.iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.sort_unstable();
        HeaderValue::try_from(names.join(", "))
    }
}

const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

impl OpenApi {
    /// Compiles the description in `text`, which is YAML or JSON, with the default options.
    ///
    /// # Errors
    ///
    /// As [`OpenApiOptions::build`].
    pub fn new(text: &str) -> Result<Self, OpenApiError> {
        Self::options().build(text)
    }

    /// Other options: formats, strictness, security, documents to refer to.
    pub fn options() -> OpenApiOptions {
        OpenApiOptions::default()
    }

    /// What the description says of itself, for people to read at start.
    pub fn report(&self) -> OpenApiReport {
        OpenApiReport::of(&self.0)
    }

    pub(super) fn compile(text: &str, options: &OpenApiOptions) -> Result<Self, OpenApiError> {
        let root = document::parse(text)
            .map_err(|what| OpenApiError::at(&Place::root(), "is neither YAML nor JSON").because(what))?;
        let mut supplied = Vec::new();
        for (name, text) in &options.documents {
            let parsed = document::parse(text)
                .map_err(|what| OpenApiError::new(name, "is neither YAML nor JSON").because(what))?;
            supplied.push((name.clone(), parsed));
        }
        let version = Version::of(&root)?;
        let draft = dialect::draft(&root)?;
        let mut documents = Documents::new(root, supplied)?;
        let found = grammar::schemas(&documents);
        dialect::rewrite(&mut documents, &found, version, options.formats == Formats::Assert)?;
        check_schemas(&documents, &found, draft)?;
        documents.note_ids(&found);
        let mut requests = read_only::for_requests(&documents, &found, options.read_only);
        requests.publish_names(&found);
        documents.publish_names(&found);
        let compiler = Compiler::new(&documents, &requests, draft, options.formats, options.patterns)?;
        let schemes = Schemes::compile(&documents, version, options.rules.clone())?;
        let security = match documents.root().get("security") {
            Some(list) => Security::compile(list, &Place::root().child("security"), &schemes)?,
            None => Security::default(),
        };
        let shared = Shared {
            compiler: &compiler,
            schemes: &schemes,
            security,
            strict_query: options.strict_query,
            checks_security: options.checks_security,
        };
        let mut compiled = Compiled {
            routes: Routes::new(),
            paths: Vec::new(),
            operations: Vec::new(),
            contents: Vec::new(),
            read_only: options.read_only,
            strict_query: options.strict_query,
            unlisted: options.unlisted,
        };
        compiled.add_paths(&shared, options.base_path.as_deref())?;
        Ok(Self(Arc::new(compiled)))
    }
}

/// Schemas that the specification of their draft does not know are told with their place.
fn check_schemas(documents: &Documents, found: &[Found], draft: &str) -> Result<(), OpenApiError> {
    for Found { place, .. } in found.iter().filter(|found| found.is_root) {
        let Some(schema) = documents.get(place) else { continue };
        let error = match schema {
            Value::Bool(_) => continue,
            // What a dialect of somebody's own has is seen when it is compiled.
            Value::Object(object) if !object.get("$schema").is_none_or(dialect::is_draft) => continue,
            Value::Object(object) if object.contains_key("$schema") => {
                jsonschema::meta::validate(schema).err().map(|error| error.to_owned())
            }
            Value::Object(object) => {
                let mut named = object.clone();
                named.insert("$schema".to_owned(), draft.into());
                jsonschema::meta::validate(&Value::Object(named)).err().map(|error| error.to_owned())
            }
            _ => return Err(OpenApiError::at(place, "must be a schema")),
        };
        if let Some(error) = error {
            let pointer = format!("{place}{}", error.instance_path());
            return Err(
                OpenApiError::new(pointer, "is not what a schema has here").because(error.to_string())
            );
        }
    }
    Ok(())
}

impl Compiled {
    fn add_paths(&mut self, shared: &Shared<'_>, base_path: Option<&str>) -> Result<(), OpenApiError> {
        let documents = shared.compiler.documents;
        let root_place = Place::root();
        let (_, root) = documents.object(root_place.clone())?;
        let bases = |holder: &Map<String, Value>, place: &Place| match base_path {
            Some(path) => Ok(Some(vec![path.to_owned()])),
            None => servers::base_paths(holder, place),
        };
        let of_root = bases(root, &root_place)?.unwrap_or_else(|| vec![String::new()]);
        let Some(paths) = root.get("paths") else { return Ok(()) };
        let place = root_place.child("paths");
        let Value::Object(paths) = paths else { return Err(OpenApiError::at(&place, "must be an object")) };
        for (path, value) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let place = place.child(path);
            let template =
                Template::parse(path).map_err(|error| OpenApiError::at(&place, error.to_string()))?;
            let has_operations = METHODS.iter().any(|(name, _)| value.get(name).is_some());
            if value.get("$ref").is_some() && has_operations {
                return Err(OpenApiError::at(&place, "has operations beside a `$ref`"));
            }
            let (place, object) = documents.object(place)?;
            let of_path = bases(object, &place)?.unwrap_or_else(|| of_root.clone());
            let item = PathItem { names: template.names().collect(), parameters: listed(object, &place)? };
            for (name, method) in METHODS {
                if !object.contains_key(name) {
                    continue;
                }
                let (place, object) = documents.object(place.child(name))?;
                let operation =
                    Operation::compile(method, &place, object, &item, shared, &mut self.contents)?;
                let of_operation = bases(object, &place)?;
                for base in of_operation.as_ref().unwrap_or(&of_path) {
                    self.add_route(base, path, operation.method.clone(), &place)?;
                }
                self.operations.push(operation);
            }
        }
        for path in &mut self.paths {
            path.allow =
                path.allow().map_err(|_| OpenApiError::at(&place, "has a method that no header can name"))?;
        }
        Ok(())
    }

    /// Adds the way to the operation that comes next.
    fn add_route(
        &mut self,
        base: &str,
        path: &str,
        method: Method,
        place: &Place,
    ) -> Result<(), OpenApiError> {
        let whole = format!("{base}{path}");
        let template = Template::parse(&whole).map_err(|error| OpenApiError::at(place, error.to_string()))?;
        let next = self.paths.len();
        if next == MAX_ROUTES {
            return Err(OpenApiError::at(place, "the document has too many paths"));
        }
        let at = match self.routes.insert(&template, next) {
            Ok(()) => {
                let allow = HeaderValue::from_static("");
                self.paths.push(Path { template: whole.into(), methods: Vec::new(), allow });
                next
            }
            Err(known) => known,
        };
        let known = &mut self.paths[at];
        if *known.template != *format!("{base}{path}")
            || known.methods.iter().any(|(other, _)| *other == method)
        {
            let what = format!("is the same path as `{}`", known.template);
            return Err(OpenApiError::at(place, what));
        }
        known.methods.push((method, self.operations.len()));
        Ok(())
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi").field("operations", &self.0.operations.len()).finish_non_exhaustive()
    }
}
