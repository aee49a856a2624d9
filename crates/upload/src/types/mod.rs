//! Which files are accepted.

mod allow;
mod file_type;
mod inspect;
mod scan;

pub(crate) use self::inspect::{HEAD, Inspector};
pub use self::{allow::AllowList, file_type::FileType};
