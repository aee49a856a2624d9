//! Archives, looked into as they pass.

mod entry;
mod extra;
mod limits;
mod record;
#[cfg(test)]
mod tests;
mod zip;

pub use self::limits::ArchiveLimits;
pub(crate) use self::zip::Zip;
