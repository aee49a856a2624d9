//! `multipart/form-data` (RFC 7578), read strictly, without input or output.

mod boundary;
mod disposition;
mod headers;
mod parser;

pub(crate) use self::{
    boundary::{Boundary, Declared},
    disposition::Disposition,
    headers::Headers,
    parser::{Malformed, Parser, Step},
};
