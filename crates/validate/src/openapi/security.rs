//! Who may call an operation.

use std::collections::BTreeMap;

use bartizan_core::{Challenges, Principal, PrincipalKind, Reason, Rejection, insufficient_scope};
use http::{Extensions, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

use super::{
    OpenApiError,
    dialect::Version,
    document::{Documents, Place},
};
use crate::refusal;

/// Which callers have proved themselves by a security scheme of the document.
///
/// Authentication is another layer's work, which leaves a [`Principal`]; a rule says whether that principal is one of
/// the scheme. Without a rule of yours a scheme asks for the principal's
/// [`auth_scheme`](Principal::auth_scheme): `ApiKey` for `apiKey`, `Bearer` or `DPoP` for tokens (`http` with
/// `bearer`, `oauth2`, `openIdConnect`), the scheme's own name for other `http`; a principal that does not say how it
/// proved itself is taken for one of any scheme.
///
/// ```
/// use bartizan_core::{Principal, PrincipalKind};
/// use bartizan_validate::SchemeRule;
///
/// let rule = SchemeRule::any().with_kind(PrincipalKind::Service).with_issuer("keys");
/// assert!(rule.holds(&Principal::service("billing").issuer("keys").build()));
/// assert!(!rule.holds(&Principal::user("billing").issuer("keys").build()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct SchemeRule {
    kind: Option<PrincipalKind>,
    issuer: Option<String>,
    /// Any of these, in any case; none of them means any.
    auth_schemes: Vec<String>,
}

impl SchemeRule {
    /// Every principal is one of the scheme.
    pub fn any() -> Self {
        Self::default()
    }

    /// Of this kind alone.
    pub fn with_kind(self, kind: PrincipalKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Of this issuer alone.
    pub fn with_issuer(self, issuer: impl Into<String>) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// That proved themselves by this HTTP authentication scheme, or by another one that was added, in any case, or
    /// that do not say by which.
    pub fn with_auth_scheme(mut self, scheme: impl Into<String>) -> Self {
        self.auth_schemes.push(scheme.into());
        self
    }

    /// Whether the principal is one of the scheme.
    pub fn holds(&self, principal: &Principal) -> bool {
        let proved = principal.auth_scheme();
        self.kind.is_none_or(|kind| principal.kind() == kind)
            && self.issuer.as_deref().is_none_or(|issuer| principal.issuer() == Some(issuer))
            && (self.auth_schemes.is_empty()
                || proved.is_none_or(|proved| {
                    self.auth_schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(proved))
                }))
    }
}

/// A security scheme of the document.
#[derive(Clone, Debug)]
struct Scheme {
    rule: SchemeRule,
    /// What a caller without credentials is told; nothing where no header would help.
    challenge: Option<Challenge>,
    /// The parameter of the query that carries its key.
    query: Option<String>,
    /// Whether the names beside it are scopes alone.
    scopes_only: bool,
    /// Whether there may be no names beside it.
    no_names: bool,
}

/// How credentials of a scheme are asked for.
#[derive(Clone, Debug)]
struct Challenge {
    /// The HTTP authentication schemes that it may be, the usual one first.
    names: Vec<String>,
    /// What is asked where no authentication layer says how.
    line: HeaderValue,
}

impl Challenge {
    /// `None` where the first name is none for a header.
    fn of<const N: usize>(names: [&str; N]) -> Option<Self> {
        let line = HeaderValue::try_from(format!("{} realm=\"api\"", names.first()?)).ok()?;
        Some(Self { names: names.map(str::to_owned).to_vec(), line })
    }

    fn is_of(&self, line: &HeaderValue) -> bool {
        self.names.iter().any(|name| scheme_of(line).eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What the authentication layers ask with for these schemes, or the line of its own.
    fn lines<'a>(&'a self, left: &'a [HeaderValue]) -> impl Iterator<Item = &'a HeaderValue> {
        let own = (!left.iter().any(|line| self.is_of(line))).then_some(&self.line);
        left.iter().filter(|line| self.is_of(line)).chain(own)
    }
}

/// The HTTP authentication scheme of a challenge.
fn scheme_of(line: &HeaderValue) -> &[u8] {
    line.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// All security schemes of the document.
#[derive(Debug)]
pub(super) struct Schemes(BTreeMap<String, Scheme>);

impl Schemes {
    pub(super) fn compile(
        documents: &Documents,
        version: Version,
        mut rules: BTreeMap<String, SchemeRule>,
    ) -> Result<Self, OpenApiError> {
        let place = Place::root().child("components").child("securitySchemes");
        let mut schemes = BTreeMap::new();
        if let Some(Value::Object(named)) = documents.get(&place) {
            for name in named.keys().filter(|name| !name.starts_with("x-")) {
                let (place, object) = documents.object(place.child(name))?;
                let mut scheme = Scheme::compile(&place, object, version)?;
                if let Some(rule) = rules.remove(name) {
                    scheme.rule = rule;
                }
                schemes.insert(name.clone(), scheme);
            }
        }
        match rules.into_keys().next() {
            Some(name) => {
                Err(OpenApiError::new("scheme_rule", format!("the document has no security scheme `{name}`")))
            }
            None => Ok(Self(schemes)),
        }
    }

    /// The parameters of a query that carry keys.
    pub(super) fn query_names(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|scheme| scheme.query.as_deref())
    }
}

impl Scheme {
    fn compile(place: &Place, object: &Map<String, Value>, version: Version) -> Result<Self, OpenApiError> {
        let text = |member: &str| object.get(member).and_then(Value::as_str);
        let kind = text("type").unwrap_or_default();
        let token = || {
            let names = ["Bearer", "DPoP"];
            (names.into_iter().fold(SchemeRule::any(), SchemeRule::with_auth_scheme), Challenge::of(names))
        };
        let (rule, challenge) = match kind {
            "apiKey" => (SchemeRule::any().with_auth_scheme("ApiKey"), Challenge::of(["ApiKey"])),
            "oauth2" | "openIdConnect" => token(),
            "http" => match text("scheme") {
                Some(name) if name.eq_ignore_ascii_case("bearer") => token(),
                Some(name) => {
                    let challenge = Some(name)
                        .filter(|name| HeaderName::try_from(*name).is_ok())
                        .and_then(|name| Challenge::of([name]));
                    let challenge = challenge.ok_or_else(|| {
                        OpenApiError::at(&place.child("scheme"), "is no HTTP authentication scheme")
                    })?;
                    (SchemeRule::any().with_auth_scheme(name), Some(challenge))
                }
                None => return Err(OpenApiError::at(place, "needs a `scheme`")),
            },
            "mutualTLS" => (SchemeRule::any(), None),
            _ => return Err(OpenApiError::at(&place.child("type"), "is no type of security schemes")),
        };
        let scopes_only = matches!(kind, "oauth2" | "openIdConnect");
        let in_query = kind == "apiKey" && text("in") == Some("query");
        Ok(Self {
            rule,
            challenge,
            query: in_query.then(|| text("name").unwrap_or_default().to_owned()),
            scopes_only,
            no_names: version == Version::V30 && !scopes_only,
        })
    }
}

/// What an operation demands: one of several combinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Security(Vec<Vec<Demand>>);

/// A scheme, and the rights that the caller needs with it.
#[derive(Clone, Debug)]
struct Demand {
    scheme: Scheme,
    names: Vec<String>,
}

impl Security {
    /// The requirements listed in `list`, which stands at `place`.
    pub(super) fn compile(list: &Value, place: &Place, schemes: &Schemes) -> Result<Self, OpenApiError> {
        let Value::Array(list) = list else { return Err(OpenApiError::at(place, "must be a list")) };
        let mut any = Vec::new();
        for (at, requirement) in list.iter().enumerate() {
            let place = place.child(&at.to_string());
            let Value::Object(requirement) = requirement else {
                return Err(OpenApiError::at(&place, "must be an object"));
            };
            let demand = |(name, names): (&String, &Value)| {
                let place = place.child(name);
                let scheme = schemes
                    .0
                    .get(name)
                    .ok_or_else(|| OpenApiError::at(&place, "is no security scheme of the document"))?;
                let texts: Option<Vec<_>> = names
                    .as_array()
                    .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
                match texts {
                    Some(names) if names.is_empty() || !scheme.no_names => {
                        Ok(Demand { scheme: scheme.clone(), names })
                    }
                    Some(_) => Err(OpenApiError::at(&place, "must be empty: the scheme has no scopes")),
                    None => Err(OpenApiError::at(&place, "must be a list of names")),
                }
            };
            any.push(requirement.iter().map(demand).collect::<Result<_, _>>()?);
        }
        Ok(Self(any))
    }

    /// Whether the caller may; no caller is one without an identity. The extensions are the request's.
    pub(super) fn check(
        &self,
        principal: Option<&Principal>,
        extensions: &Extensions,
    ) -> Result<(), Rejection> {
        // No demands, or one combination that demands nothing: anybody may.
        if self.0.is_empty() || self.0.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let Some(principal) = principal else { return Err(self.nobody(Challenges::of(extensions))) };
        if self.0.iter().any(|all| all.iter().all(|demand| demand.holds(principal))) {
            return Ok(());
        }
        let denied = Rejection::new(Reason::PermissionDenied).with_layer(refusal::LAYER);
        Err(match self.insufficient(principal) {
            Some(challenge) => denied.with_header(header::WWW_AUTHENTICATE, challenge),
            None => denied,
        })
    }

    /// A challenge for each scheme: that of `left` by the authentication layers, where there is one. Where no header
    /// would help, nobody is let in and nothing is asked for.
    #[cold]
    fn nobody(&self, left: &[HeaderValue]) -> Rejection {
        let schemes = self.0.iter().flatten().filter_map(|demand| demand.scheme.challenge.as_ref());
        let mut lines: Vec<&HeaderValue> = Vec::new();
        for line in schemes.flat_map(|challenge| challenge.lines(left)) {
            if !lines.iter().any(|other| scheme_of(other).eq_ignore_ascii_case(scheme_of(line))) {
                lines.push(line);
            }
        }
        let reason = if lines.is_empty() { Reason::PermissionDenied } else { Reason::Unauthenticated };
        lines.into_iter().fold(Rejection::new(reason).with_layer(refusal::LAYER), |rejection, line| {
            rejection.with_header(header::WWW_AUTHENTICATE, line.clone())
        })
    }

    /// Where scopes are what the caller lacks. Those of one combination are told; of several, none: all of them
    /// together is more than it needs.
    #[cold]
    fn insufficient(&self, principal: &Principal) -> Option<HeaderValue> {
        let mut helpful =
            self.0.iter().filter(|all| all.iter().all(|demand| demand.scheme.rule.holds(principal)));
        let first = helpful.next()?;
        let names = match helpful.next() {
            None => first.iter().flat_map(|demand| &demand.names).map(String::as_str).collect(),
            Some(_) => Vec::new(),
        };
        let usual = || {
            Some(first.iter().find_map(|demand| demand.scheme.challenge.as_ref())?.names.first()?.as_str())
        };
        insufficient_scope(principal.auth_scheme().or_else(usual)?, names)
    }
}

impl Demand {
    fn holds(&self, principal: &Principal) -> bool {
        let has = |name: &String| {
            principal.has_scope(name) || (!self.scheme.scopes_only && principal.has_role(name))
        };
        self.scheme.rule.holds(principal) && self.names.iter().all(has)
    }
}
