//! Where new ids come from.

use std::{cell::RefCell, time::Duration};

use bartizan_core::{Clock, RequestId};
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::source;

/// Makes an id for a request that comes without one.
///
/// Implemented by [`UuidV7`], [`UuidV4`] and every `Fn(&Clock) -> RequestId`:
///
/// ```
/// use bartizan_core::{Clock, RequestId};
/// use bartizan_correlation_id::CorrelationIdLayer;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let count = AtomicU64::new(0);
/// let layer = CorrelationIdLayer::new().with_generator(move |_: &Clock| {
///     let number = count.fetch_add(1, Ordering::Relaxed);
///     RequestId::new(format!("req-{number}")).expect("letters, digits and a hyphen")
/// });
/// ```
pub trait MakeId: Send + Sync + 'static {
    /// A new id. `clock` is the layer's, for ids that hold the time.
    fn make_id(&self, clock: &Clock) -> RequestId;
}

impl<F> MakeId for F
where
    F: Fn(&Clock) -> RequestId + Send + Sync + 'static,
{
    fn make_id(&self, clock: &Clock) -> RequestId {
        self(clock)
    }
}

/// Version 7 UUIDs (RFC 9562 section 5.7): the time in milliseconds, then 73 random bits, and one above them that
/// leaves room to count. The default.
///
/// The ids that one thread makes sort in the order of their making (section 6.2, method 2: within a millisecond
/// the random part grows by a random step of up to 32 bits). A clock set back by up to ten seconds is waited out, one
/// set back further is followed.
///
/// The random bits come from a generator per thread, ChaCha seeded once from the system: no system call per id.
/// An id is no secret: it is on every response and in every log, and says when it was made (CID-06).
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7;

impl MakeId for UuidV7 {
    fn make_id(&self, clock: &Clock) -> RequestId {
        render(source::v7(millis(clock.since_1970())))
    }
}

/// Version 4 UUIDs (RFC 9562 section 5.4): 122 random bits, from the same generator as [`UuidV7`].
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV4;

impl MakeId for UuidV4 {
    fn make_id(&self, _: &Clock) -> RequestId {
        render(source::v4())
    }
}

/// The length of the text of an id.
const LENGTH: usize = 36;

/// The texts of so many ids share an allocation. What holds on to one of them holds on to all, which is not much.
const TOGETHER: usize = 14;

thread_local! {
    /// The room for the next ids.
    static ROOM: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A text of which all clones share the memory.
fn share(text: &[u8; LENGTH]) -> Bytes {
    let shared = ROOM.try_with(|room| {
        let mut room = room.try_borrow_mut().ok()?;
        if room.capacity() < LENGTH {
            room.reserve(LENGTH * TOGETHER);
        }
        room.extend_from_slice(text);
        Some(room.split().freeze())
    });
    // A thread that is being torn down has none.
    shared.ok().flatten().unwrap_or_else(|| Bytes::copy_from_slice(text))
}

fn render(uuid: Uuid) -> RequestId {
    let mut text = [b'-'; LENGTH];
    let mut at = 0;
    for (index, byte) in uuid.as_bytes().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at..at + 2].copy_from_slice(&HEX[usize::from(*byte)]);
        at += 2;
    }
    RequestId::new(share(&text)).expect("36 hex digits and hyphens are an id")
}

/// The two lower-case digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread, time::SystemTime};

    use bartizan_core::ManualClock;
    use uuid::{Variant, Version};

    use super::*;

    fn parse(id: &RequestId) -> Uuid {
        let uuid = Uuid::parse_str(id.as_str()).expect("a UUID");
        assert_eq!(uuid.hyphenated().to_string(), id.as_str(), "36 lower-case characters");
        assert_eq!(uuid.get_variant(), Variant::RFC4122);
        uuid
    }

    #[test]
    fn cid_01_a_made_id_is_a_version_7_uuid_of_the_time_it_was_made() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        for step in [0, 1, 999, 86_400_000] {
            manual.advance(Duration::from_millis(step));
            let uuid = parse(&UuidV7.make_id(&clock));
            assert_eq!(uuid.get_version(), Some(Version::SortRand));
            let (secs, nanos) = uuid.get_timestamp().unwrap().to_unix();
            let wall = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!((secs, nanos / 1_000_000), (wall.as_secs(), wall.subsec_millis()));
        }
    }

    #[test]
    fn cid_01_a_made_id_may_be_a_version_4_uuid() {
        let ids: HashSet<_> = (0..1_000).map(|_| parse(&UuidV4.make_id(&Clock::system()))).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|uuid| uuid.get_version() == Some(Version::Random)));
    }

    #[test]
    fn the_ids_of_a_thread_sort_as_they_were_made() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let ids: Vec<_> = (0..10_000)
            .map(|index| {
                manual.advance(Duration::from_millis(index % 3 / 2));
                UuidV7.make_id(&clock).to_string()
            })
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn threads_make_different_ids_at_one_time() {
        let clock = Clock::from(ManualClock::new());
        let ids: Vec<_> = (0..8)
            .map(|_| {
                let clock = clock.clone();
                thread::spawn(move || {
                    (0..1_000).map(|_| UuidV7.make_id(&clock).to_string()).collect::<Vec<_>>()
                })
            })
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn the_time_is_in_whole_milliseconds() {
        assert_eq!(millis(Duration::new(7, 1_999_999)), 7_001);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn copies_of_an_id_share_its_bytes() {
        let id = UuidV7.make_id(&Clock::system());
        let header = id.to_header();
        assert_eq!(header.as_bytes().as_ptr(), id.as_str().as_ptr());
    }
}
