//! The gRPC methods that are known to exist.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use crate::table::Table;

/// The names of gRPC methods that may become labels.
///
/// A gRPC path is whatever the caller wrote, so a name is taken only on proof, and only so many are.
#[derive(Default)]
pub(crate) struct KnownMethods(Table<Box<str>, ()>);

impl KnownMethods {
    /// The most names that are learned.
    pub(crate) const MAX_LEARNED: usize = 1024;

    /// The same names and more.
    pub(crate) fn fork(&self, more: impl IntoIterator<Item = Box<str>>) -> Self {
        let fork = Self::default();
        for method in self.0.iter().map(|(method, ())| method.clone()).chain(more) {
            fork.0.insert(FxBuildHasher.hash_one(&*method), method, ());
        }
        fork
    }

    pub(crate) fn contains(&self, method: &str) -> bool {
        self.0.find(FxBuildHasher.hash_one(method), |known| **known == *method).is_some()
    }

    /// Takes a name that was proved; false when there is no room for it.
    pub(crate) fn learn(&self, method: &str) -> bool {
        if self.0.len() < Self::MAX_LEARNED {
            self.0.insert(FxBuildHasher.hash_one(method), method.into(), ());
        }
        self.contains(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obs_09_only_so_many_methods_are_learned() {
        let known = KnownMethods::default().fork(["given.S/M".into()]);
        let learned =
            (0..2 * KnownMethods::MAX_LEARNED).filter(|n| known.learn(&format!("p.S/M{n}"))).count();
        assert_eq!(learned, KnownMethods::MAX_LEARNED - 1);
        assert!(known.contains("given.S/M") && known.contains("p.S/M0") && known.learn("p.S/M0"));
        assert!(!known.contains("p.S/M2000"));
    }
}
