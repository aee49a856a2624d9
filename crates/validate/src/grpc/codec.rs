//! A codec that demands of each message that its rules hold.

use std::{fmt, marker::PhantomData};

use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstCodec;

use super::{ValidateMessage, status};

/// The codec of a service that refuses messages whose rules do not hold: protobuf by prost.
///
/// Name it where the service is generated, and no handler sees a message that breaks a rule, whatever the kind of
/// call: a unary call is refused, a stream fails at that message.
///
/// ```text
/// // build.rs
/// tonic_prost_build::configure()
///     .build_client(false)
///     .codec_path("bartizan_validate::ValidatingCodec")
///     .compile_protos(&["proto/orders.proto"], &["proto"])?;
/// ```
///
/// A codec serves both ends: generated with it, a client demands the rules of what it is answered. Generate clients
/// apart, or leave the messages of answers without rules.
pub type ValidatingCodec<T, U> = MessageCodec<ProstCodec<T, U>, EnforceMessages>;

/// The same, and only reports: what would be refused is counted and told, and handed on.
pub type ReportOnlyCodec<T, U> = MessageCodec<ProstCodec<T, U>, ReportOnlyMessages>;

/// Any codec, with rules for what it decodes.
pub struct MessageCodec<C, M = EnforceMessages> {
    codec: C,
    mode: PhantomData<fn() -> M>,
}

/// Whether a message that breaks its rules is refused.
///
/// Sealed: [`EnforceMessages`] and [`ReportOnlyMessages`].
pub trait MessageMode: sealed::Sealed + 'static {
    #[doc(hidden)]
    const REPORT_ONLY: bool;
}

/// It is refused.
#[derive(Clone, Copy, Debug)]
pub enum EnforceMessages {}

/// It is counted and told, and handed on.
#[derive(Clone, Copy, Debug)]
pub enum ReportOnlyMessages {}

impl MessageMode for EnforceMessages {
    const REPORT_ONLY: bool = false;
}

impl MessageMode for ReportOnlyMessages {
    const REPORT_ONLY: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::EnforceMessages {}
    impl Sealed for super::ReportOnlyMessages {}
}

impl<C, M> MessageCodec<C, M> {
    /// `codec`, with rules for what it decodes.
    pub fn new(codec: C) -> Self {
        Self { codec, mode: PhantomData }
    }
}

impl<C: Default, M> Default for MessageCodec<C, M> {
    fn default() -> Self {
        Self::new(C::default())
    }
}

impl<C: Clone, M> Clone for MessageCodec<C, M> {
    fn clone(&self) -> Self {
        Self::new(self.codec.clone())
    }
}

impl<C: Codec<Decode: ValidateMessage>, M: MessageMode> Codec for MessageCodec<C, M> {
    type Encode = C::Encode;
    type Decode = C::Decode;
    type Encoder = C::Encoder;
    type Decoder = MessageDecoder<C::Decoder, M>;

    fn encoder(&mut self) -> Self::Encoder {
        self.codec.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder { decoder: self.codec.decoder(), failed: None, mode: PhantomData }
    }
}

/// The decoder of [`MessageCodec`].
pub struct MessageDecoder<D, M> {
    decoder: D,
    /// Why the stream is over. tonic would decode what comes after.
    failed: Option<Status>,
    mode: PhantomData<fn() -> M>,
}

impl<D: Decoder<Item: ValidateMessage, Error = Status>, M: MessageMode> Decoder for MessageDecoder<D, M> {
    type Item = D::Item;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<D::Item>, Status> {
        if let Some(status) = &self.failed {
            return Err(status.clone());
        }
        let message = self.decoder.decode(src)?;
        let verdict = message.as_ref().map_or(Ok(()), |message| status::judge(message, M::REPORT_ONLY));
        verdict.map(|()| message).inspect_err(|status| self.failed = Some(status.clone()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.decoder.buffer_settings()
    }
}

impl<C: fmt::Debug, M> fmt::Debug for MessageCodec<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageCodec").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl<D: fmt::Debug, M> fmt::Debug for MessageDecoder<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageDecoder")
            .field("decoder", &self.decoder)
            .field("failed", &self.failed.is_some())
            .finish_non_exhaustive()
    }
}
