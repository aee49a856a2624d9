//! Why a request was not let through.

/// Why a request was not let through. For logs and metrics: callers see one answer for most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request carries no credential.
    Missing,
    /// More than one credential, or more than one line of a header that carries one.
    Ambiguous,
    /// Not the form of a key, or a typo that broke its checksum.
    Malformed,
    /// No key has this id.
    UnknownKey,
    /// The id is known, the secret is not one of its secrets.
    WrongSecret,
    /// The key does not work yet.
    NotYetValid,
    /// The key has expired.
    Expired,
    /// The key was revoked.
    Revoked,
    /// The key may not be used from where the request comes from.
    WrongNetwork,
    /// The key may not be used on this route.
    WrongRoute,
    /// Nobody was authenticated, and a right is required.
    NoPrincipal,
    /// The caller lacks a scope.
    InsufficientScope,
    /// The caller lacks a role.
    InsufficientRole,
}

impl Failure {
    #[cfg(feature = "metrics")]
    pub(crate) const COUNT: usize = Self::InsufficientRole as usize + 1;

    /// The name in logs, and the label `reason` in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::WrongSecret => "wrong_secret",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::WrongNetwork => "wrong_network",
            Self::WrongRoute => "wrong_route",
            Self::NoPrincipal => "no_principal",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientRole => "insufficient_role",
        }
    }
}
