//! No library: keys, sets of keys, remote keys and proofs are refused when the service is put together.

use crate::jwt::{Algorithm, KeyError, key::Material};

pub(crate) enum Verifier {}

impl Verifier {
    pub(crate) fn new(_: Algorithm, _: &Material) -> Result<Self, KeyError> {
        Err(KeyError::NoBackEnd)
    }

    pub(crate) fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::{Algorithm, JwkSetError, KeyError, KeySet, VerifyingKey};

    #[test]
    fn jwt_01_without_a_library_no_key_and_no_set_of_keys_is_taken() {
        let secret = VerifyingKey::from_secret(Algorithm::Hs256, &[7; 32]);
        assert_eq!(secret.unwrap_err(), KeyError::NoBackEnd);
        let set = KeySet::from_jwks(br#"{"keys":[]}"#, Algorithm::Es256).unwrap_err();
        assert!(matches!(set, JwkSetError::NoBackEnd));
        assert!(set.to_string().contains("`aws-lc-rs`") && set.to_string().contains("`rust-crypto`"));
    }

    #[cfg(feature = "https-client")]
    #[test]
    fn jwt_08_without_a_library_no_remote_keys_are_waited_for() {
        let error = crate::RemoteKeys::jwks("https://id.example/keys", Algorithm::Es256).build().unwrap_err();
        assert_eq!(error.field(), "algorithms");
    }

    #[cfg(feature = "dpop")]
    #[test]
    fn pop_01_without_a_library_no_proofs_are_asked_for() {
        let error = crate::Dpop::new("https://api.example", Algorithm::Es256).unwrap_err();
        assert_eq!(error.field(), "algorithms");
        assert!(error.to_string().contains("`aws-lc-rs` or `rust-crypto`"), "{error}");
    }
}
