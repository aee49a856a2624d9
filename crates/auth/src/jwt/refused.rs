//! A request that is not let through, and what its caller is told.

use std::time::Duration;

use bartizan_core::{Reason, Rejection};

use super::{bearer::Scheme, challenge::Complaint, service::Shared, verify::Unverified};
use crate::{Failure, pop::DPOP_NONCE};

/// A request that is not let through.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// The scheme that its token was presented under.
    pub(super) scheme: Scheme,
    pub(super) retry_after: Option<Duration>,
}

impl Refused {
    pub(super) fn new<R>(unverified: &Unverified<R>, scheme: Scheme) -> Self {
        match unverified {
            Unverified::Refused { failure, retry_after, .. } => {
                Self { failure: *failure, scheme, retry_after: *retry_after }
            }
            // Nobody waits twice.
            Unverified::Wait(_) => Self { failure: Failure::UnknownKey, scheme, retry_after: None },
        }
    }
}

impl<K, C> Shared<K, C> {
    /// One answer for every token that is not accepted, so that nobody learns how far theirs came. The cause is for
    /// logs alone.
    #[cold]
    pub(crate) fn refusal(&self, refused: &Refused) -> Rejection {
        let complaint = match refused.failure {
            Failure::Missing => Complaint::Nothing,
            Failure::Ambiguous | Failure::MalformedHeader => Complaint::InvalidRequest,
            Failure::MissingProof | Failure::InvalidProof | Failure::StaleProof | Failure::ReplayedProof => {
                Complaint::InvalidProof
            }
            Failure::NonceWanted => Complaint::NonceWanted,
            _ => Complaint::InvalidToken,
        };
        let challenged =
            |reason| self.settings.challenged(reason, self.challenge.lines(refused.scheme, complaint));
        let rejection = match refused.failure {
            Failure::Ambiguous | Failure::MalformedHeader => challenged(Reason::MalformedCredentials),
            Failure::KeysNotLoaded | Failure::ProofsFull => Rejection::new(Reason::DependencyUnavailable)
                .with_retry_after(refused.retry_after.unwrap_or(Duration::from_secs(1))),
            _ => challenged(Reason::Unauthenticated),
        };
        // Without a nonce of ours the client could only fail again.
        let nonce = match complaint {
            Complaint::NonceWanted => self.possession.nonce(self.settings.since_1970()),
            _ => None,
        };
        let rejection = match nonce {
            Some(nonce) => rejection.with_header(DPOP_NONCE.clone(), nonce),
            None => rejection,
        };
        let rejection = rejection.with_layer("jwt").with_cause(refused.failure.as_str());
        if refused.failure.is_failed_credential() { rejection.with_failed_credential() } else { rejection }
    }
}
