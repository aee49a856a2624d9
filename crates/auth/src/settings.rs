//! How an [`ApiKeyLayer`](crate::ApiKeyLayer) was set up.

use std::time::Duration;

use bartizan_core::{Clock, Reason, Rejection};
use http::{HeaderName, HeaderValue, header};

use crate::{
    ConfigError, challenge,
    credential::X_API_KEY,
    error::Part,
    path,
    telemetry::{Telemetry, scheme},
};

#[derive(Clone)]
pub(crate) struct Settings {
    /// Whose they are.
    pub(crate) part: Part,
    pub(crate) challenge: HeaderValue,
    /// What the other method of an `AuthLayer` asks with.
    pub(crate) challenges_beside: Vec<HeaderValue>,
    pub(crate) query_parameter: Option<Box<str>>,
    pub(crate) keep_credential: bool,
    pub(crate) identity_header: Option<HeaderName>,
    pub(crate) bypass: Vec<Box<str>>,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self::of(Part::ApiKey, scheme::API_KEY, challenge::DEFAULT)
    }

    /// Of a layer that decides under `scheme`, and asks for credentials with `challenge`.
    pub(crate) fn of(part: Part, scheme: &'static str, challenge: HeaderValue) -> Self {
        Self {
            part,
            challenge,
            challenges_beside: Vec::new(),
            query_parameter: None,
            keep_credential: false,
            identity_header: None,
            bypass: Vec::new(),
            clock: Clock::system(),
            telemetry: Telemetry::new(scheme),
        }
    }

    /// A refusal with these challenges, and those of the other method if there is one: each on a line of its own, for
    /// that is what clients read best (AUT-05).
    pub(crate) fn challenged<'a>(
        &'a self,
        reason: Reason,
        challenges: impl IntoIterator<Item = &'a HeaderValue>,
    ) -> Rejection {
        challenges
            .into_iter()
            .chain(&self.challenges_beside)
            .fold(Rejection::new(reason), |rejection, challenge| {
                rejection.with_header(header::WWW_AUTHENTICATE, challenge.clone())
            })
    }

    /// The wall time, as tokens count it.
    pub(crate) fn since_1970(&self) -> Duration {
        self.clock.since_1970()
    }

    pub(crate) fn set_query_parameter(&mut self, name: &str) -> Result<(), ConfigError> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(unreserved) {
            return Err(ConfigError::new(
                self.part,
                "query_parameter",
                "must have 1 to 64 characters that need no encoding in a query: letters, digits, `-._~`",
            ));
        }
        self.query_parameter = Some(name.into());
        Ok(())
    }

    pub(crate) fn set_identity_header(&mut self, name: HeaderName) -> Result<(), ConfigError> {
        const RESERVED: [HeaderName; 8] = [
            header::AUTHORIZATION,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::HOST,
            header::TE,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ];
        if name == X_API_KEY || RESERVED.contains(&name) {
            return Err(ConfigError::new(
                self.part,
                "identity_header",
                "must not be a header that means something else",
            ));
        }
        self.identity_header = Some(name);
        Ok(())
    }

    pub(crate) fn add_bypass(&mut self, path: &str) -> Result<(), ConfigError> {
        if !path::is_plain(path) {
            return Err(ConfigError::new(
                self.part,
                "bypass",
                "must be a path as it is on the wire: begin with `/`, without empty or dot segments, and made \
                 of letters, digits and `-._~$!*+@:=/`",
            ));
        }
        self.bypass.push(path.into());
        Ok(())
    }

    /// Whether the path, byte for byte, is one that needs no key. There is nothing to decode in such a path, so
    /// an encoded, doubled or dotted spelling of one is another path.
    pub(crate) fn is_bypassed(&self, path: &str) -> bool {
        self.bypass.iter().any(|open| **open == *path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azn_02_only_plain_paths_can_be_opened() {
        let mut settings = Settings::new();
        for path in ["/", "/health", "/grpc.health.v1.Health/Check", "/a-b/_c~d/e.f"] {
            settings.add_bypass(path).unwrap();
            assert!(settings.is_bypassed(path));
        }
        for path in [
            "", "health", "//", "/a//b", "/a/", "/.", "/a/../b", "/%61", "/a?b", "/a#b", "/a;b", "/ä",
            "/a b", "*",
        ] {
            assert_eq!(settings.add_bypass(path).unwrap_err().field(), "bypass", "{path}");
        }
        for path in ["/Health", "/health/", "//health", "/health;x", "/%68ealth", "/x/../health", "/health?"]
        {
            assert!(!settings.is_bypassed(path), "{path}");
        }
    }

    #[test]
    fn headers_and_parameters_that_cannot_work_are_refused_by_name() {
        let mut settings = Settings::new();
        for name in [header::AUTHORIZATION, header::HOST, X_API_KEY.clone()] {
            assert_eq!(settings.set_identity_header(name).unwrap_err().field(), "identity_header");
        }
        for name in ["", "a=b", "a&b", "a%20", "ä", &"x".repeat(65)] {
            assert_eq!(settings.set_query_parameter(name).unwrap_err().field(), "query_parameter");
        }
    }
}
