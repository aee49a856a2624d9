//! Paths that a layer makes an exception of.

use std::{error::Error, fmt};

/// Paths that a layer makes an exception of: `/healthz`, or `/static/*` for all that are below `/static`.
///
/// They are compared as they were sent. Below a `/*`, a path that has several spellings does not belong: what is below in
/// one may be elsewhere in another.
///
/// ```
/// use bartizan_core::PathSet;
///
/// let mut open = PathSet::default();
/// open.add(["/healthz", "/grpc.health.v1.Health/*"])?;
/// assert!(open.contains("/healthz") && open.contains("/grpc.health.v1.Health/Check"));
/// assert!(!open.contains("/grpc.health.v1.Health/../orders"));
/// assert!(open.add(["healthz"]).is_err());
/// # Ok::<(), bartizan_core::PathSetError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PathSet(Vec<Path>);

#[derive(Clone, Debug)]
enum Path {
    Exact(Box<str>),
    Below(Box<str>),
}

/// A path that can never match, or that has several spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSetError(());

impl PathSet {
    /// Adds paths.
    ///
    /// # Errors
    ///
    /// When a path does not start with `/`, has several spellings itself, or a `*` elsewhere than at its end; those before
    /// it are added.
    pub fn add<P: AsRef<str>>(&mut self, paths: impl IntoIterator<Item = P>) -> Result<(), PathSetError> {
        paths.into_iter().try_for_each(|path| {
            self.0.push(Path::read(path.as_ref()).ok_or(PathSetError(()))?);
            Ok(())
        })
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path of a request, without the query, is one of them.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|known| known.matches(path))
    }
}

impl PathSetError {
    /// What is wrong with it, to follow the name of a setting.
    pub fn message(&self) -> &'static str {
        "must start with `/` and have one spelling: no empty, dot or escaped segments, `*` only at the end"
    }
}

impl fmt::Display for PathSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a path {}", self.message())
    }
}

impl Error for PathSetError {}

impl Path {
    fn read(path: &str) -> Option<Self> {
        match path.strip_suffix("/*") {
            Some(base) => (base.is_empty() || is_plain(base)).then(|| Self::Below(base.into())),
            None => (path == "/" || is_plain(path)).then(|| Self::Exact(path.into())),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Below(base) => path.strip_prefix(&**base).is_some_and(|rest| rest == "/" || is_plain(rest)),
        }
    }
}

/// A path that every router reads the same way.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~$!+@:=".contains(&byte);
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &str) -> Result<PathSet, PathSetError> {
        let mut set = PathSet::default();
        set.add([path]).map(|()| set)
    }

    #[test]
    fn grpc_15_a_path_belongs_in_one_spelling() {
        for (rule, path, expected) in [
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/", false),
            ("/healthz", "/HEALTHZ", false),
            ("/healthz", "/%68ealthz", false),
            ("/static/*", "/static/app.js", true),
            ("/static/*", "/static/a/b", true),
            ("/static/*", "/static", false),
            ("/static/*", "/statics/a", false),
            ("/static/*", "/static/../orders", false),
            ("/static/*", "/static/%2e%2e/orders", false),
            ("/static/*", "/static//orders", false),
            ("/*", "/any", true),
            ("/", "/", true),
            ("/", "/x", false),
            ("/grpc.health.v1.Health/*", "/grpc.health.v1.Health/Check", true),
            ("/grpc.health.v1.Health/*", "/grpc.health.v1.HealthX/Check", false),
        ] {
            assert_eq!(set(rule).unwrap().contains(path), expected, "{rule} {path}");
        }
        assert!(PathSet::default().is_empty() && !set("/").unwrap().is_empty());
    }

    #[test]
    fn lay_06_a_path_that_can_never_match_is_refused() {
        for path in ["", "*", "healthz", "/a//b", "/a/", "//*", "/../a", "/a*", "/a/*/b", "/%61"] {
            assert_eq!(set(path).unwrap_err(), PathSetError(()), "{path}");
        }
    }
}
