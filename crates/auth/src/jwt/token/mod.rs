//! A token: its form, its header, its claims, and whether they are good.

mod claims;
mod compact;
mod header;
mod members;

pub(crate) use self::{
    claims::{ClaimNames, Claims},
    compact::{Compact, MAX_SIGNATURE, Segment, decode_signature},
    header::{Header, Kind},
    members::{Ignored, Names, Text},
};
