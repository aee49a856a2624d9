//! What no breaker applies to.

use bartizan_core::RequestHead;

use crate::ConfigError;

/// Paths whose requests pass without being counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exempt(Vec<Path>);

#[derive(Clone, Debug)]
enum Path {
    Exact(Box<str>),
    Below(Box<str>),
}

impl Exempt {
    pub(crate) fn add(&mut self, path: &str) -> Result<(), ConfigError> {
        if !path.starts_with('/') || path.trim_end_matches("/*").contains('*') {
            return Err(ConfigError::new(
                "exempt_paths",
                "must start with `/` and have `*` only as the last segment",
            ));
        }
        self.0.push(match path.strip_suffix('*') {
            Some(base) => Path::Below(base.into()),
            None => Path::Exact(path.into()),
        });
        Ok(())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn covers(&self, head: &RequestHead<'_>) -> bool {
        let path = head.uri().path();
        self.0.iter().any(|exempt| match exempt {
            Path::Exact(exact) => **exact == *path,
            Path::Below(base) => path.starts_with(&**base),
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn grpc_15_paths_are_exempt_exactly_or_below() {
        let mut exempt = Exempt::default();
        for path in ["/healthz", "/grpc.health.v1.Health/*"] {
            exempt.add(path).unwrap();
        }
        let covers = |path: &str| exempt.covers(&RequestHead::of(&Request::get(path).body(()).unwrap()));
        assert!(covers("/healthz") && covers("/grpc.health.v1.Health/Check"));
        assert!(!covers("/healthz/x") && !covers("/grpc.health.v1.HealthX/Check") && !covers("/"));
        for wrong in ["", "healthz", "/a*", "/*/b", "*"] {
            assert_eq!(exempt.add(wrong).unwrap_err().field(), "exempt_paths", "{wrong}");
        }
    }
}
