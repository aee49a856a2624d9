//! The decision over a key: no request, no time of its own, no waiting.

use std::time::SystemTime;

use crate::{
    Failure, StoredKey,
    key::{Presented, SecretDigests},
};

/// The key that was found for `presented`, if it is that key and works at `now`.
///
/// An id that is not known costs the same digest and the same comparison as one that is.
#[inline]
pub(crate) fn verify<'a>(
    found: Option<&'a StoredKey>,
    presented: &Presented<'_>,
    now: SystemTime,
) -> Result<&'a StoredKey, Failure> {
    let secrets = found.map_or(&SecretDigests::DUMMY, StoredKey::secrets);
    let accepted = secrets.accept(presented.secret);
    let key = found.ok_or(Failure::UnknownKey)?;
    if !accepted {
        return Err(Failure::WrongSecret);
    }
    key.check_time(now)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        ApiKey, KeyRecord, KeyStore, StaticKeys,
        key::{calls, parse},
    };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn outcome(keys: &StaticKeys, key: &ApiKey, now: u64) -> Result<String, Failure> {
        let presented = parse(key.expose().as_bytes()).expect("it was generated");
        let found = keys.lookup(presented.id);
        verify(found.as_deref(), &presented, at(now)).map(|key| key.principal().subject().to_owned())
    }

    /// A key, and the same id with another secret.
    fn key_and_forgery() -> (ApiKey, ApiKey) {
        let key = ApiKey::generate("orders").unwrap();
        let forgery = key.record("x").rotate().unwrap();
        assert_eq!(key.id(), forgery.id());
        (key, forgery)
    }

    fn store(record: KeyRecord) -> StaticKeys {
        StaticKeys::new([record]).unwrap()
    }

    #[test]
    fn key_02_every_key_costs_one_digest_and_one_comparison_known_or_not() {
        let (key, forgery) = key_and_forgery();
        let stranger = ApiKey::generate("orders").unwrap();
        let keys = store(key.record("billing"));
        let revoked = store(key.record("billing").with_revoked_at(at(0)));
        let mut rotating = key.record("billing");
        rotating.rotate().unwrap();
        let rotating = store(rotating);
        let expected = calls::Calls { digests: 1, comparisons: 1 };
        for (keys, key, is_accepted) in [
            (&keys, &key, true),
            (&keys, &forgery, false),
            (&keys, &stranger, false),
            (&revoked, &key, false),
            (&rotating, &key, true),
            (&rotating, &stranger, false),
        ] {
            let calls = calls::during(|| assert_eq!(outcome(keys, key, 1).is_ok(), is_accepted));
            assert_eq!(calls, expected);
        }
    }

    #[test]
    fn key_02_no_secret_is_accepted_for_an_unknown_id() {
        let keys = StaticKeys::new([]).unwrap();
        bolero::check!().with_type::<[u8; 32]>().for_each(|secret| {
            let presented = Presented { id: "orders_x", secret };
            assert_eq!(
                verify(keys.lookup(presented.id).as_deref(), &presented, at(0)).unwrap_err(),
                Failure::UnknownKey
            );
        });
    }

    #[test]
    fn key_03_a_key_works_from_its_beginning_until_before_its_end() {
        let (key, forgery) = key_and_forgery();
        let keys = store(key.record("billing").with_not_before(at(10)).with_expires_at(at(20)));
        for (now, expected) in [
            (9, Err(Failure::NotYetValid)),
            (10, Ok("billing".to_owned())),
            (19, Ok("billing".to_owned())),
            (20, Err(Failure::Expired)),
        ] {
            assert_eq!(outcome(&keys, &key, now), expected, "at {now}");
            assert_eq!(outcome(&keys, &forgery, now), Err(Failure::WrongSecret), "at {now}");
        }
        let keys = store(key.record("billing").with_revoked_at(at(15)).with_expires_at(at(10)));
        assert_eq!(outcome(&keys, &key, 14), Err(Failure::Expired));
        assert_eq!(outcome(&keys, &key, 15), Err(Failure::Revoked));
    }

    #[test]
    fn key_03_two_secrets_of_one_id_are_live_during_a_rotation() {
        let first = ApiKey::generate("orders").unwrap();
        let mut record = first.record("billing");
        let second = record.rotate().unwrap();
        assert!(record.is_rotating());
        let keys = store(record.clone());
        assert!(outcome(&keys, &first, 0).is_ok() && outcome(&keys, &second, 0).is_ok());

        let third = record.rotate().unwrap();
        keys.replace([record.clone()]).unwrap();
        assert_eq!(outcome(&keys, &first, 0), Err(Failure::WrongSecret));
        assert!(outcome(&keys, &second, 0).is_ok() && outcome(&keys, &third, 0).is_ok());

        assert!(record.retire_previous());
        assert!(!record.retire_previous());
        keys.replace([record]).unwrap();
        assert_eq!(outcome(&keys, &second, 0), Err(Failure::WrongSecret));
        assert!(outcome(&keys, &third, 0).is_ok());
    }
}
