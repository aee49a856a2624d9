//! What is done with a document that is JSON.

use std::sync::Arc;

use bartizan_core::{Protocol, Rejection};
use bytes::Bytes;
use http::{HeaderValue, header, request::Parts};

use crate::{
    JsonLimits, OtherMedia,
    checked::Checked,
    coding::{Coding, DecodeError},
    json,
    media::Declared,
    refusal,
    settings::Settings,
};

/// What a layer demands of a body beyond being JSON within limits: nothing, a schema, a type.
///
/// Sealed: its implementations are this crate's.
pub trait Check: Send + Sync + Sized + 'static {
    /// Everything that can be said before the body is polled (ERR-11), and which of several bodies it must be.
    #[doc(hidden)]
    fn plan(
        &self,
        settings: &Settings,
        head: &mut Parts,
        announced: Announced,
    ) -> Result<(Plan, Which), Rejection> {
        Ok((settings.plan(head, announced)?, Which::default()))
    }

    /// Judges a body that was read: the bytes that may go on.
    #[doc(hidden)]
    fn judge(
        &self,
        settings: &Settings,
        _: Which,
        head: &mut Parts,
        raw: &Bytes,
        coding: Coding,
    ) -> Result<Bytes, Rejection> {
        settings.judge(self, head, raw, coding)
    }

    /// Judges `text`, which is JSON. What it makes of it goes into the extensions of `head`, also when it refuses,
    /// for a layer that only reports.
    #[doc(hidden)]
    fn body(&self, text: &str, head: &mut Parts) -> Result<(), Rejection>;

    /// Reads `bytes` within `limits`, and judges them.
    #[doc(hidden)]
    fn read(&self, bytes: &Bytes, limits: &JsonLimits, head: &mut Parts) -> Result<(), Rejection> {
        let text = match Checked::text(bytes, limits, &head.extensions) {
            Some(text) => text,
            None => json::check(bytes, limits).map_err(refusal::malformed)?,
        };
        self.body(text, head)
    }

    /// Whether layers further in may look at the body again, and are told that it was read.
    #[doc(hidden)]
    const TELLS: bool = true;

    /// Checks that are for routes of one kind refuse other media types; one that asks for nothing lets them pass.
    #[doc(hidden)]
    const OTHER_MEDIA: OtherMedia = OtherMedia::Refuse;
}

/// JSON within limits, and nothing more.
#[derive(Clone, Copy, Debug)]
pub struct Syntax;

impl Check for Syntax {
    fn body(&self, _: &str, _: &mut Parts) -> Result<(), Rejection> {
        Ok(())
    }

    const OTHER_MEDIA: OtherMedia = OtherMedia::Pass;
}

/// What all services and futures of a layer share.
#[derive(Debug)]
pub(crate) struct Shared<C> {
    pub(crate) settings: Settings,
    pub(crate) check: Arc<C>,
}

/// What the head of a request decides.
#[derive(Debug)]
pub enum Plan {
    /// There is nothing to read.
    Pass,
    /// Read the body, and undo this coding.
    Read(Coding),
}

/// Which of the bodies that a check knows a request must have. Only the check that made it reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which(#[cfg_attr(not(feature = "openapi"), expect(dead_code))] pub(crate) usize);

/// What is announced of a body, before any of it is read.
#[derive(Clone, Copy, Debug)]
pub struct Announced {
    pub(crate) empty: bool,
    /// There are at least so many bytes.
    pub(crate) least: u64,
}

impl Announced {
    pub(crate) fn of(body: &impl http_body::Body) -> Self {
        Self { empty: body.is_end_stream(), least: body.size_hint().lower() }
    }
}

impl Settings {
    /// Everything that can be said before the body is polled (ERR-11), in the order of VAL-01.
    pub(crate) fn plan(&self, head: &Parts, announced: Announced) -> Result<Plan, Rejection> {
        if announced.empty {
            // A gRPC stream may end before its first message.
            let passes = !self.wants_body(&head.method)
                || self.other == OtherMedia::Pass
                    && Protocol::of_parts(&head.method, &head.headers).is_grpc();
            return if passes { Ok(Plan::Pass) } else { Err(refusal::body_missing()) };
        }
        let declared = self.media.declared(&head.headers);
        if declared == Declared::Other && self.other == OtherMedia::Pass {
            return Ok(Plan::Pass);
        }
        self.fits(announced)?;
        if declared != Declared::Json {
            return Err(refusal::media_type(&head.method, self.media.accept()));
        }
        Coding::of(&head.headers).map(Plan::Read).ok_or_else(refusal::coding)
    }

    /// A length is believed only where it is too large: the body is counted all the same.
    pub(crate) fn fits(&self, announced: Announced) -> Result<(), Rejection> {
        let most = self.limits.max_body();
        if announced.least > most as u64 { Err(refusal::too_large(most)) } else { Ok(()) }
    }

    /// Judges a body that was read: the bytes that may go on.
    pub(crate) fn judge<C: Check>(
        &self,
        check: &C,
        head: &mut Parts,
        raw: &Bytes,
        coding: Coding,
    ) -> Result<Bytes, Rejection> {
        if raw.is_empty() {
            return if self.wants_body(&head.method) {
                Err(refusal::body_missing())
            } else {
                Ok(Bytes::new())
            };
        }
        let bytes = self.decode(raw, coding)?;
        check.read(&bytes, &self.limits, head)?;
        if C::TELLS {
            Checked::note(&bytes, &self.limits, &mut head.extensions);
        }
        Self::decoded(head, coding, bytes.len());
        Ok(bytes)
    }

    /// The body as it is meant.
    pub(crate) fn decode(&self, raw: &Bytes, coding: Coding) -> Result<Bytes, Rejection> {
        coding.decode(raw, self.limits.max_body()).map_err(|error| self.undecodable(error))
    }

    /// Makes the head say what goes on, where that is not what came.
    pub(crate) fn decoded(head: &mut Parts, coding: Coding, length: usize) {
        if coding != Coding::Identity {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    }

    #[cfg(feature = "decompress")]
    fn undecodable(&self, error: DecodeError) -> Rejection {
        match error {
            DecodeError::TooLarge => refusal::too_large(self.limits.max_body()),
            DecodeError::Malformed => refusal::not_decodable(),
        }
    }

    #[cfg(not(feature = "decompress"))]
    fn undecodable(&self, error: DecodeError) -> Rejection {
        match error {}
    }
}
