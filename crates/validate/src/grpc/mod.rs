//! gRPC messages that know their rules.
//!
//! A generated type says with [`ValidateMessage`](crate::ValidateMessage) what its fields must be. Generate the service
//! with [`ValidatingCodec`], and each message of each call is checked as it is decoded, before a handler sees it; or
//! check by hand, with [`check_message`] and [`ValidatedStream`]. A message that breaks a rule is refused with
//! `INVALID_ARGUMENT` and a `google.rpc.BadRequest` that names each field by its dotted path. A stream fails at that
//! message.

mod codec;
mod message;
mod status;
mod stream;

pub use self::{
    codec::{
        EnforceMessages, MessageCodec, MessageDecoder, MessageMode, ReportOnlyCodec, ReportOnlyMessages,
        ValidatingCodec,
    },
    message::{MessageFindings, ValidateMessage},
    status::check_message,
    stream::ValidatedStream,
};
