//! What authentication layers ask with.

use http::{Extensions, HeaderValue, header};

use crate::{Reason, Rejection};

/// What the authentication layers ask for that let a request pass without a principal: an extension of the request, for
/// whoever then refuses it.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Vec<HeaderValue>);

impl Challenges {
    /// Leaves a line of `WWW-Authenticate` in a request that passes without a principal.
    pub fn leave(extensions: &mut Extensions, challenge: &HeaderValue) {
        extensions.get_or_insert_default::<Self>().0.push(challenge.clone());
    }

    /// The refusal of a request that should have a principal and has none: 401 with all that was left. `None` where no
    /// authentication layer let the request pass: there it is the service that is at fault.
    ///
    /// ```
    /// use bartizan_core::{Challenges, Reason};
    /// use http::{Extensions, HeaderValue};
    ///
    /// let mut extensions = Extensions::new();
    /// assert!(Challenges::refusal(&extensions).is_none());
    /// Challenges::leave(&mut extensions, &HeaderValue::from_static("Bearer realm=\"api\""));
    /// assert_eq!(Challenges::refusal(&extensions).unwrap().reason(), Reason::Unauthenticated);
    /// ```
    pub fn refusal(extensions: &Extensions) -> Option<Rejection> {
        let challenges = Self::of(extensions);
        if challenges.is_empty() {
            return None;
        }
        let refusal = Rejection::new(Reason::Unauthenticated);
        Some(challenges.iter().fold(refusal, |refusal, challenge| {
            refusal.with_header(header::WWW_AUTHENTICATE, challenge.clone())
        }))
    }

    /// The lines that were left in a request, in their order; each is one challenge.
    pub fn of(extensions: &Extensions) -> &[HeaderValue] {
        extensions.get::<Self>().map_or(&[], |challenges| &challenges.0)
    }
}
