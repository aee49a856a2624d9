//! What the layers do with responses.

mod modes;
mod support;
mod untouched;
