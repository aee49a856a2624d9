//! What the error of an attempt says of the request.

use std::{error::Error, io};

use bartizan_core::GrpcCode;

use crate::GivenUp;

/// The error of an attempt, and what it says of the request.
///
/// The errors of hyper, of hyper-util's client and of h2 are recognised with the feature `hyper`, wherever they are in
/// the chain of sources; so are those of reqwest and tonic, which are built on them.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    error: &'a (dyn Error + 'static),
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// There was no connection to send it on.
    Connect,
    /// The server said that it did not process it.
    NotProcessed,
    /// Anything may have happened to it.
    Unknown(GrpcCode),
}

impl<'a> Failure<'a> {
    /// Looks through an error and its sources.
    pub fn of(error: &'a (dyn Error + 'static)) -> Self {
        let kind = chain(error).filter_map(look).reduce(|outer, inner| match outer {
            // What is further in is closer to the cause.
            Kind::Unknown(_) => inner,
            known => known,
        });
        Self { error, kind: kind.unwrap_or(Kind::Unknown(GrpcCode::Unknown)) }
    }

    /// The error.
    pub fn error(&self) -> &'a (dyn Error + 'static) {
        self.error
    }

    /// No connection was made, so that nothing was sent.
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }

    /// The request was surely not processed, although it may have been sent: HTTP/2's REFUSED_STREAM, or a GOAWAY that
    /// does not cover it (RFC 9113 section 8.7).
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::NotProcessed
    }

    /// The code that a gRPC client makes of it.
    pub fn grpc_code(&self) -> GrpcCode {
        match self.kind {
            Kind::Connect | Kind::NotProcessed => GrpcCode::Unavailable,
            Kind::Unknown(code) => code,
        }
    }
}

/// Whether the attempt failed because its body was taken from it, or had failed before: that says nothing of the upstream.
pub(crate) fn is_given_up(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        // What is wrapped is no source of it.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error.is::<GivenUp>() || wrapped.is_some_and(|inner| is_given_up(inner))
    })
}

/// The error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    /// One that is longer is a circle.
    const DEEPEST: usize = 32;
    std::iter::successors(Some(error), |&error| error.source()).take(DEEPEST)
}

fn look(error: &(dyn Error + 'static)) -> Option<Kind> {
    #[cfg(feature = "hyper")]
    if let Some(kind) = hyper_error(error) {
        return Some(kind);
    }
    let error = error.downcast_ref::<io::Error>()?;
    Some(match error.kind() {
        // Only an attempt to connect is refused.
        io::ErrorKind::ConnectionRefused => Kind::Connect,
        // What is wrapped is no source of it.
        _ => error.get_ref().and_then(|inner| look(inner)).unwrap_or(Kind::Unknown(GrpcCode::Unavailable)),
    })
}

#[cfg(feature = "hyper")]
fn hyper_error(error: &(dyn Error + 'static)) -> Option<Kind> {
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then_some(Kind::Connect);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // The connection broke. Whether it did so before the request was sent, this does not tell.
        let broken = error.is_closed() || error.is_canceled() || error.is_incomplete_message();
        return (broken || error.is_timeout()).then_some(Kind::Unknown(GrpcCode::Unavailable));
    }
    let error = error.downcast_ref::<h2::Error>()?;
    // A GOAWAY ends at once the streams that it does not cover, and no others.
    if error.is_go_away() && error.is_remote() {
        return Some(Kind::NotProcessed);
    }
    if error.is_io() {
        return Some(Kind::Unknown(GrpcCode::Unavailable));
    }
    Some(match error.reason()? {
        h2::Reason::REFUSED_STREAM if error.is_remote() => Kind::NotProcessed,
        h2::Reason::CANCEL => Kind::Unknown(GrpcCode::Cancelled),
        h2::Reason::ENHANCE_YOUR_CALM => Kind::Unknown(GrpcCode::ResourceExhausted),
        h2::Reason::INADEQUATE_SECURITY => Kind::Unknown(GrpcCode::PermissionDenied),
        _ => Kind::Unknown(GrpcCode::Internal),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Wrapped(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    fn wrap(error: impl Error + Send + Sync + 'static) -> Wrapped {
        Wrapped(Box::new(Wrapped(Box::new(error))))
    }

    #[test]
    fn rt_02_a_refused_connection_is_found_however_it_is_wrapped() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        for error in [
            wrap(refused()),
            wrap(io::Error::other(refused())),
            wrap(wrap(io::Error::other(wrap(refused())))),
        ] {
            let failure = Failure::of(&error);
            assert!(failure.is_connect() && !failure.is_refused(), "{error:?}");
            assert_eq!(failure.grpc_code(), GrpcCode::Unavailable);
        }
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut] {
            let error = wrap(io::Error::from(kind));
            let failure = Failure::of(&error);
            assert!(!failure.is_connect() && !failure.is_refused());
            assert_eq!(failure.grpc_code(), GrpcCode::Unavailable, "a broken connection");
        }
        let error = wrap(fmt::Error);
        assert_eq!(Failure::of(&error).grpc_code(), GrpcCode::Unknown);
    }

    #[cfg(feature = "hyper")]
    #[test]
    fn grpc_11_a_reset_of_our_own_is_no_refusal_of_the_server() {
        for (reason, code) in [
            (h2::Reason::REFUSED_STREAM, GrpcCode::Internal),
            (h2::Reason::CANCEL, GrpcCode::Cancelled),
            (h2::Reason::ENHANCE_YOUR_CALM, GrpcCode::ResourceExhausted),
            (h2::Reason::INADEQUATE_SECURITY, GrpcCode::PermissionDenied),
            (h2::Reason::PROTOCOL_ERROR, GrpcCode::Internal),
        ] {
            let error = wrap(h2::Error::from(reason));
            let failure = Failure::of(&error);
            assert!(!failure.is_refused());
            assert_eq!(failure.grpc_code(), code);
        }
    }
}
