//! Who may call an operation.

use std::collections::BTreeMap;

use bartizan_core::{Principal, PrincipalKind, Reason, Rejection};
use http::{HeaderValue, header};
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
    challenge: Option<HeaderValue>,
    /// The parameter of the query that carries its key.
    query: Option<String>,
    /// Whether the names beside it are scopes alone.
    scopes_only: bool,
    /// Whether there may be no names beside it.
    no_names: bool,
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
        let token = || SchemeRule::any().with_auth_scheme("Bearer").with_auth_scheme("DPoP");
        let (rule, challenge) = match kind {
            "apiKey" => (SchemeRule::any().with_auth_scheme("ApiKey"), Some("ApiKey".to_owned())),
            "oauth2" | "openIdConnect" => (token(), Some("Bearer".to_owned())),
            "http" => match text("scheme") {
                Some(name) if name.eq_ignore_ascii_case("bearer") => (token(), Some("Bearer".to_owned())),
                // Its realm is required (RFC 7617 section 2).
                Some(name) if name.eq_ignore_ascii_case("basic") => {
                    (SchemeRule::any().with_auth_scheme(name), Some("Basic realm=\"api\"".to_owned()))
                }
                Some(name) => (SchemeRule::any().with_auth_scheme(name), Some(name.to_owned())),
                None => return Err(OpenApiError::at(place, "needs a `scheme`")),
            },
            "mutualTLS" => (SchemeRule::any(), None),
            _ => return Err(OpenApiError::at(&place.child("type"), "is no type of security schemes")),
        };
        let challenge = challenge
            .map(HeaderValue::try_from)
            .transpose()
            .map_err(|_| OpenApiError::at(&place.child("scheme"), "is no HTTP authentication scheme"))?;
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

    /// Whether the caller may; no caller is one without an identity.
    pub(super) fn check(&self, principal: Option<&Principal>) -> Result<(), Rejection> {
        // No demands, or one combination that demands nothing: anybody may.
        if self.0.is_empty() || self.0.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let Some(principal) = principal else { return Err(self.nobody()) };
        if self.0.iter().any(|all| all.iter().all(|demand| demand.holds(principal))) {
            return Ok(());
        }
        let denied = Rejection::new(Reason::PermissionDenied).with_layer(refusal::LAYER);
        Err(match self.insufficient(principal) {
            Some(challenge) => denied.with_header(header::WWW_AUTHENTICATE, challenge),
            None => denied,
        })
    }

    /// A challenge for each scheme. Where no header would help, nobody is let in and nothing is asked for.
    fn nobody(&self) -> Rejection {
        let mut challenges: Vec<&HeaderValue> = Vec::new();
        for challenge in self.0.iter().flatten().filter_map(|demand| demand.scheme.challenge.as_ref()) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        let mut challenges = challenges.into_iter().cloned();
        let Some(first) = challenges.next() else {
            return Rejection::new(Reason::PermissionDenied).with_layer(refusal::LAYER);
        };
        let rejection = Rejection::unauthenticated(first).with_layer(refusal::LAYER);
        challenges.fold(rejection, |rejection, challenge| {
            rejection.with_header(header::WWW_AUTHENTICATE, challenge)
        })
    }

    /// RFC 6750 section 3.1, where more scopes would have helped.
    fn insufficient(&self, principal: &Principal) -> Option<HeaderValue> {
        let all = self.0.iter().find(|all| all.iter().all(|demand| demand.scheme.rule.holds(principal)))?;
        let mut names: Vec<_> = all.iter().flat_map(|demand| &demand.names).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let scheme = principal.auth_scheme().or_else(|| {
            let challenge = all.iter().find_map(|demand| demand.scheme.challenge.as_ref())?;
            challenge.to_str().ok()?.split(' ').next()
        })?;
        // RFC 6749 section 3.3: what a scope may be made of.
        let legal = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        let names: Vec<_> = names.into_iter().filter(|name| name.bytes().all(legal)).collect();
        let challenge = format!("{scheme} error=\"insufficient_scope\", scope=\"{}\"", names.join(" "));
        HeaderValue::try_from(challenge).ok()
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
