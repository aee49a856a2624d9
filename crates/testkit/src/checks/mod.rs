//! The tests of the suite, one idea per file.

mod bodies;
mod errors;
mod extensions;
mod faces;
mod frameworks;
mod readiness;
mod release;
mod sharing;
mod wire;

pub(crate) use self::{
    bodies::bodies, errors::errors, extensions::extensions, faces::faces, frameworks::frameworks,
    readiness::readiness, release::release, sharing::sharing, wire::wire,
};
