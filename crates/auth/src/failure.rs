//! Why a request was not let through.

/// Why a request was not let through. For logs and metrics: callers see one answer for most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "dpop", feature = "mtls")),
    expect(dead_code, reason = "some are of proofs that only these features ask for")
)]
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
    /// An `Authorization: Bearer` that carries nothing, or what no token is made of.
    MalformedHeader,
    /// A token that is encrypted, or wants an extension to be understood.
    Unsupported,
    /// A token signed by an algorithm that does not exist, or that its key is not for.
    WrongAlgorithm,
    /// More than one key might have signed the token.
    AmbiguousKey,
    /// The signature is not the key's.
    BadSignature,
    /// A token for another purpose: an ID token, a logout token.
    WrongType,
    /// No such issuer, or none said.
    WrongIssuer,
    /// The token is for somebody else.
    WrongAudience,
    /// The token is older than the service wants.
    TooOld,
    /// A claim that is required is not there.
    MissingClaim,
    /// A claim that is not what it should be.
    InvalidClaims,
    /// There are no keys yet, or they are too old to be trusted.
    KeysNotLoaded,
    /// The token is bound to what nobody here was told to ask for.
    UnsupportedBinding,
    /// The token is bound to nothing, where it must be.
    Unbound,
    /// A token that is bound to a key, presented as if it were not.
    WrongScheme,
    /// The client showed no certificate, and the token is bound to one.
    NoCertificate,
    /// The token is bound to another certificate.
    WrongCertificate,
    /// The request carries no proof that the caller holds the token's key.
    MissingProof,
    /// The proof is malformed, not well signed, or of another request or token.
    InvalidProof,
    /// The token is bound to another key than the proof's.
    WrongProofKey,
    /// The proof is too old, or of the future.
    StaleProof,
    /// The proof was used before.
    ReplayedProof,
    /// The proof holds no nonce of ours, or an old one.
    NonceWanted,
    /// So many proofs were used that no more can be remembered.
    ProofsFull,
    /// Nobody was authenticated, and a right is required.
    NoPrincipal,
    /// The caller acts for another tenant.
    WrongTenant,
    /// A person where a program is required, or the other way round.
    WrongKind,
    /// A condition of the service's own does not hold.
    Condition,
    /// No rule covers the route.
    Uncovered,
    /// The path can be read in more than one way.
    AmbiguousPath,
    /// The policy said no.
    PolicyDenied,
    /// The policy failed, or took too long.
    PolicyUnavailable,
    /// The store that knows the key does not answer.
    StoreUnavailable,
    /// The caller lacks a scope.
    InsufficientScope,
    /// The caller lacks a role.
    InsufficientRole,
}

impl Failure {
    #[cfg(feature = "metrics")]
    pub(crate) const COUNT: usize = Self::InsufficientRole as usize + 1;

    /// Whether a credential was presented that is not good: what a guess looks like. Limits by address charge more
    /// for it (KEY-05).
    pub(crate) fn is_failed_credential(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::UnknownKey
                | Self::WrongSecret
                | Self::NotYetValid
                | Self::Expired
                | Self::Revoked
                | Self::WrongNetwork
                | Self::Unsupported
                | Self::WrongAlgorithm
                | Self::AmbiguousKey
                | Self::BadSignature
                | Self::WrongType
                | Self::WrongIssuer
                | Self::WrongAudience
                | Self::TooOld
                | Self::MissingClaim
                | Self::InvalidClaims
                | Self::UnsupportedBinding
                | Self::Unbound
                | Self::WrongScheme
                | Self::NoCertificate
                | Self::WrongCertificate
                | Self::MissingProof
                | Self::InvalidProof
                | Self::WrongProofKey
                | Self::StaleProof
                | Self::ReplayedProof
        )
    }

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
            Self::MalformedHeader => "malformed_header",
            Self::Unsupported => "unsupported",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::AmbiguousKey => "ambiguous_key",
            Self::BadSignature => "bad_signature",
            Self::WrongType => "wrong_type",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::TooOld => "too_old",
            Self::MissingClaim => "missing_claim",
            Self::InvalidClaims => "invalid_claims",
            Self::KeysNotLoaded => "keys_not_loaded",
            Self::UnsupportedBinding => "unsupported_binding",
            Self::Unbound => "unbound",
            Self::WrongScheme => "wrong_scheme",
            Self::NoCertificate => "no_certificate",
            Self::WrongCertificate => "wrong_certificate",
            Self::MissingProof => "missing_proof",
            Self::InvalidProof => "invalid_proof",
            Self::WrongProofKey => "wrong_proof_key",
            Self::StaleProof => "stale_proof",
            Self::ReplayedProof => "replayed_proof",
            Self::NonceWanted => "nonce_wanted",
            Self::ProofsFull => "proofs_full",
            Self::NoPrincipal => "no_principal",
            Self::WrongTenant => "wrong_tenant",
            Self::WrongKind => "wrong_kind",
            Self::Condition => "condition",
            Self::Uncovered => "uncovered",
            Self::AmbiguousPath => "ambiguous_path",
            Self::PolicyDenied => "policy_denied",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientRole => "insufficient_role",
        }
    }
}
