//! A rate, ready to be applied.

use crate::{Rate, gcra::Gcra, headers::draft10};

/// What one rate of a limit needs on each request, made once.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) rate: Rate,
    pub(crate) gcra: Gcra,
    /// The item of `RateLimit-Policy`.
    pub(crate) policy: Box<str>,
}

impl Quota {
    pub(crate) fn new(name: &str, rate: Rate, sliding: bool) -> Self {
        Self { rate, gcra: Gcra::new(rate.quota()), policy: draft10::policy(name, rate, sliding).into() }
    }
}
