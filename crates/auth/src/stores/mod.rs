//! Stores of keys that live elsewhere: in a file, behind a query.

mod cached;
mod file;

pub use self::{
    cached::CachedKeys,
    file::{FileKeys, FileKeysError, FileWatch},
};
