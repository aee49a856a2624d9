//! What a token must say.

use std::{fmt, time::Duration};

use super::token::{Claims, Kind};
use crate::{ConfigError, Failure, error::Part, key::is_text};

/// What the tokens of one issuer must say to be accepted.
///
/// Whom they are for is decided here, at the start: [`new`](Self::new) takes the names that the service goes by,
/// and doing without is [said aloud](Self::without_audience_check).
///
/// Required by default: `iss`, `sub`, `exp`, and `aud` where audiences are given. Times have a leeway of a minute.
/// A token that says it is something else than an access token (`typ` of `logout+jwt`, `dpop+jwt` and others than
/// `JWT` and `at+jwt`; a claim `at_hash`, `c_hash`, `s_hash` or `events`; Keycloak's claim `typ` of `ID`, `Refresh`,
/// `Offline` or `Logout`) is refused. An ID token need not say what it is, and one whose audience is the service looks
/// like an access token then: only [`with_rfc9068`](Self::with_rfc9068) tells the two apart whatever the issuer writes.
#[derive(Clone)]
pub struct TokenPolicy {
    issuer: Box<str>,
    /// None: any audience will do.
    audiences: Option<Box<[Box<str>]>>,
    leeway: Duration,
    max_age: Option<Duration>,
    expiry_required: bool,
    rfc9068: bool,
}

/// When a token is good, the leeway included: from the first, and before the second, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl Window {
    pub(crate) fn contains(&self, now: Duration) -> bool {
        self.from <= now && now < self.until
    }
}

/// The most of what a token may say of its issuer or its subject, in bytes.
const MAX_NAME: usize = 512;

impl TokenPolicy {
    /// The default leeway.
    pub const LEEWAY: Duration = Duration::from_secs(60);

    /// The longest leeway.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

    /// Tokens of `issuer`, compared with `iss` byte for byte, that are for one or more of `audiences`, compared
    /// with `aud` likewise.
    ///
    /// # Errors
    ///
    /// When the issuer or an audience is empty or longer than 512 bytes, or there is no audience.
    pub fn new<I>(issuer: &str, audiences: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let audiences: Box<[Box<str>]> = audiences.into_iter().map(|one| one.as_ref().into()).collect();
        if audiences.is_empty() {
            return Err(ConfigError::new(Part::TokenPolicy, "audiences", "must name at least one audience"));
        }
        if let Some(index) = audiences.iter().position(|audience| !is_text(audience, MAX_NAME)) {
            return Err(ConfigError::new(Part::TokenPolicy, format!("audiences[{index}]"), NAME_FORM));
        }
        Ok(Self { audiences: Some(audiences), ..Self::without_audience_check(issuer)? })
    }

    /// Tokens of `issuer` for whomever: also those that were meant for another service, which that service can
    /// send on to this one (RFC 8725 section 3.9). Use it only where the issuer writes no `aud`.
    ///
    /// # Errors
    ///
    /// When the issuer is empty or longer than 512 bytes.
    pub fn without_audience_check(issuer: &str) -> Result<Self, ConfigError> {
        if !is_text(issuer, MAX_NAME) {
            return Err(ConfigError::new(Part::TokenPolicy, "issuer", NAME_FORM));
        }
        Ok(Self {
            issuer: issuer.into(),
            audiences: None,
            leeway: Self::LEEWAY,
            max_age: None,
            expiry_required: true,
            rfc9068: false,
        })
    }

    /// How far the clocks of issuer and service may differ: a token is accepted that much before `nbf` and `iat`,
    /// and that much after `exp`. Default: 60 s.
    ///
    /// # Errors
    ///
    /// When it is more than 300 s.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, ConfigError> {
        if leeway > Self::MAX_LEEWAY {
            return Err(ConfigError::new(Part::TokenPolicy, "leeway", "must be at most 300 s"));
        }
        self.leeway = leeway;
        Ok(self)
    }

    /// How long after `iat`, which is then required, a token is accepted, whatever its `exp` says. Default: no
    /// limit.
    ///
    /// # Errors
    ///
    /// When it is zero.
    pub fn with_max_age(mut self, max_age: Duration) -> Result<Self, ConfigError> {
        if max_age.is_zero() {
            return Err(ConfigError::new(Part::TokenPolicy, "max_age", "must be more than zero"));
        }
        self.max_age = Some(max_age);
        Ok(self)
    }

    /// Only access tokens as RFC 9068 wants them: `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`, `client_id`,
    /// `iat` and `jti` are all there. Default: no. Turn it on where the issuer can.
    #[must_use]
    pub fn with_rfc9068(mut self) -> Self {
        self.rfc9068 = true;
        self
    }

    /// Accepts tokens without `exp`, which work for as long as their key does. Default: `exp` is required.
    #[must_use]
    pub fn with_insecure_missing_expiry(mut self) -> Self {
        self.expiry_required = false;
        self
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether claims that were well signed are good at `now`, and until when they are.
    pub(crate) fn check(&self, claims: &Claims<'_>, kind: Kind, now: Duration) -> Result<Window, Failure> {
        if kind == Kind::Other || claims.is_no_access_token || (self.rfc9068 && kind != Kind::AccessToken) {
            return Err(Failure::WrongType);
        }
        if claims.issuer.as_deref() != Some(&*self.issuer) {
            return Err(Failure::WrongIssuer);
        }
        self.check_presence(claims)?;
        if !claims.subject.as_deref().is_some_and(|subject| is_text(subject, MAX_NAME)) {
            return Err(Failure::InvalidClaims);
        }
        let window = self.window(claims, now)?;
        let for_us = |audiences: &[Box<str>]| {
            claims.audience.iter().any(|one| audiences.iter().any(|own| **own == *one))
        };
        if self.audiences.as_deref().is_some_and(|audiences| !for_us(audiences)) {
            return Err(Failure::WrongAudience);
        }
        Ok(window)
    }

    fn check_presence(&self, claims: &Claims<'_>) -> Result<(), Failure> {
        let always = claims.subject.is_some()
            && (claims.expires_at.is_some() || !self.expiry_required)
            && (claims.issued_at.is_some() || self.max_age.is_none());
        let rfc9068 = || {
            let names = [&claims.client, &claims.id];
            names.into_iter().all(|name| name.as_deref().is_some_and(|name| !name.is_empty()))
                && claims.expires_at.is_some()
                && claims.issued_at.is_some()
                && !claims.audience.is_empty()
        };
        if always && (!self.rfc9068 || rfc9068()) { Ok(()) } else { Err(Failure::MissingClaim) }
    }

    fn window(&self, claims: &Claims<'_>, now: Duration) -> Result<Window, Failure> {
        let expiry = claims.expires_at.map_or(Duration::MAX, |time| time.saturating_add(self.leeway));
        if now >= expiry {
            return Err(Failure::Expired);
        }
        let age = claims.issued_at.zip(self.max_age);
        let too_old =
            age.map_or(Duration::MAX, |(time, max)| time.saturating_add(max).saturating_add(self.leeway));
        if now >= too_old {
            return Err(Failure::TooOld);
        }
        let from = claims.not_before.max(claims.issued_at).unwrap_or_default().saturating_sub(self.leeway);
        if now < from {
            return Err(Failure::NotYetValid);
        }
        Ok(Window { from, until: expiry.min(too_old) })
    }
}

const NAME_FORM: &str = "must have 1 to 512 bytes and no control characters";

impl fmt::Debug for TokenPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPolicy")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .field("leeway", &self.leeway)
            .field("max_age", &self.max_age)
            .field("expiry_required", &self.expiry_required)
            .field("rfc9068", &self.rfc9068)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::token::ClaimNames;

    const NOW: u64 = 1_000_000;

    fn policy() -> TokenPolicy {
        TokenPolicy::new("https://id", ["api", "https://api"]).unwrap()
    }

    /// Good claims with these changes; a null takes one away.
    fn check_at(policy: &TokenPolicy, changes: &Value, kind: Kind, now: f64) -> Result<Window, Failure> {
        let mut claims = json!({"iss": "https://id", "sub": "alice", "aud": "api", "exp": NOW + 600});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let json = claims.to_string();
        let claims = Claims::read(&json, &ClaimNames::default())?;
        policy.check(&claims, kind, Duration::from_secs_f64(now))
    }

    fn check(policy: &TokenPolicy, changes: &Value) -> Result<(), Failure> {
        check_at(policy, changes, Kind::Jwt, NOW as f64).map(|_| ())
    }

    #[test]
    fn jwt_10_a_token_expires_the_leeway_after_its_expiry_and_not_a_moment_later() {
        let exp = json!({"exp": NOW});
        for (leeway, now, expected) in [
            (60, NOW as f64 + 59.999, Ok(())),
            (60, NOW as f64 + 60.0, Err(Failure::Expired)),
            (0, NOW as f64 - 0.001, Ok(())),
            (0, NOW as f64, Err(Failure::Expired)),
            (300, NOW as f64 + 299.0, Ok(())),
        ] {
            let policy = policy().with_leeway(Duration::from_secs(leeway)).unwrap();
            assert_eq!(check_at(&policy, &exp, Kind::Jwt, now).map(|_| ()), expected, "{leeway} {now}");
        }
        assert_eq!(check(&policy(), &json!({"exp": null})), Err(Failure::MissingClaim));
        assert_eq!(check(&policy().with_insecure_missing_expiry(), &json!({"exp": null})), Ok(()));
        assert_eq!(
            check(&policy().with_insecure_missing_expiry(), &json!({"exp": 1})),
            Err(Failure::Expired)
        );
        assert_eq!(policy().with_leeway(Duration::from_secs(301)).unwrap_err().field(), "leeway");
    }

    #[test]
    fn jwt_10_a_token_works_the_leeway_before_its_beginning_and_not_a_moment_earlier() {
        for name in ["nbf", "iat"] {
            for (time, expected) in [
                (json!(NOW + 60), Ok(())),
                (json!(NOW as f64 + 60.5), Err(Failure::NotYetValid)),
                (json!(u64::MAX), Err(Failure::NotYetValid)),
                (json!(0), Ok(())),
            ] {
                assert_eq!(check(&policy(), &json!({name: time})), expected, "{name} {time}");
            }
        }
    }

    #[test]
    fn jwt_10_a_token_may_be_too_old_for_a_service_before_it_expires() {
        let policy = policy().with_max_age(Duration::from_secs(100)).unwrap();
        assert_eq!(check(&policy, &json!({})), Err(Failure::MissingClaim), "iat is needed then");
        assert_eq!(check(&policy, &json!({"iat": NOW - 159})), Ok(()));
        assert_eq!(check(&policy, &json!({"iat": NOW - 160})), Err(Failure::TooOld));
        let window = check_at(&policy, &json!({"iat": NOW}), Kind::Jwt, NOW as f64).unwrap();
        assert_eq!(window.until, Duration::from_secs(NOW + 160));
        assert!(policy.with_max_age(Duration::ZERO).is_err());
    }

    #[test]
    fn jwt_11_an_issuer_is_compared_byte_for_byte() {
        for iss in [
            json!("https://id/"),
            json!("HTTPS://ID"),
            json!("https://i\u{64}\u{200b}"),
            json!(""),
            json!(null),
        ] {
            assert_eq!(check(&policy(), &json!({"iss": iss})), Err(Failure::WrongIssuer), "{iss}");
        }
    }

    #[test]
    fn jwt_12_a_token_must_be_for_this_service() {
        for (aud, expected) in [
            (json!("api"), Ok(())),
            (json!(["other", "https://api"]), Ok(())),
            (json!("API"), Err(Failure::WrongAudience)),
            (json!("api "), Err(Failure::WrongAudience)),
            (json!([]), Err(Failure::WrongAudience)),
            (json!(null), Err(Failure::WrongAudience)),
            (json!(["other"]), Err(Failure::WrongAudience)),
            (json!({"api": 1}), Err(Failure::InvalidClaims)),
        ] {
            assert_eq!(check(&policy(), &json!({"aud": aud})), expected, "{aud}");
        }
        let any = TokenPolicy::without_audience_check("https://id").unwrap();
        for aud in [json!(null), json!("other")] {
            assert_eq!(check(&any, &json!({"aud": aud})), Ok(()));
        }
        assert_eq!(TokenPolicy::new("https://id", [""; 0]).unwrap_err().field(), "audiences");
        assert_eq!(TokenPolicy::new("https://id", ["api", ""]).unwrap_err().field(), "audiences[1]");
        assert_eq!(TokenPolicy::new("", ["api"]).unwrap_err().field(), "issuer");
    }

    #[test]
    fn jwt_13_a_subject_is_there_and_says_something() {
        assert_eq!(check(&policy(), &json!({"sub": null})), Err(Failure::MissingClaim));
        for sub in ["", "a\nb", "\u{0}", &"x".repeat(513)] {
            assert_eq!(check(&policy(), &json!({"sub": sub})), Err(Failure::InvalidClaims), "{sub:?}");
        }
    }

    #[test]
    fn jwt_14_a_token_for_another_purpose_is_no_access_token() {
        let kinds = |policy: &TokenPolicy, claims: Value| {
            [Kind::Unsaid, Kind::Jwt, Kind::AccessToken, Kind::Other]
                .map(|kind| check_at(policy, &claims, kind, NOW as f64).map(|_| ()))
        };
        let wrong = Err(Failure::WrongType);
        assert_eq!(kinds(&policy(), json!({})), [Ok(()), Ok(()), Ok(()), wrong]);
        for claim in ["at_hash", "c_hash", "s_hash", "events"] {
            assert_eq!(kinds(&policy(), json!({claim: "x"})), [wrong; 4], "{claim}");
        }
        for typ in ["ID", "id", "Refresh", "Offline", "Logout"] {
            assert_eq!(kinds(&policy(), json!({"typ": typ})), [wrong; 4], "{typ}");
        }
        assert_eq!(kinds(&policy(), json!({"typ": "Bearer"})), [Ok(()), Ok(()), Ok(()), wrong]);
        let full = json!({"client_id": "app", "iat": NOW, "jti": "1"});
        assert_eq!(kinds(&policy().with_rfc9068(), full), [wrong, wrong, Ok(()), wrong]);
    }

    #[test]
    fn jwt_15_rfc_9068_wants_seven_claims() {
        let policy = policy().with_rfc9068();
        let full = json!({"client_id": "app", "iat": NOW, "jti": "1"});
        let check = |name: &str, value: Value| {
            let mut claims = full.clone();
            claims[name] = value;
            check_at(&policy, &claims, Kind::AccessToken, NOW as f64).map(|_| ())
        };
        assert_eq!(check("x", json!(1)), Ok(()));
        assert_eq!(check("iss", Value::Null), Err(Failure::WrongIssuer));
        for name in ["exp", "aud", "sub", "client_id", "iat", "jti"] {
            assert_eq!(check(name, Value::Null), Err(Failure::MissingClaim), "{name}");
        }
        for name in ["client_id", "jti"] {
            assert_eq!(check(name, json!("")), Err(Failure::MissingClaim), "{name}");
        }
        // Without audiences of its own a service wants one to be there all the same.
        let any = TokenPolicy::without_audience_check("https://id").unwrap().with_rfc9068();
        let mut claims = full.clone();
        claims["aud"] = Value::Null;
        assert_eq!(check_at(&any, &claims, Kind::AccessToken, NOW as f64), Err(Failure::MissingClaim));
    }
}
