//! The members that are the same in most lines, as they are written.

use std::{fmt, ptr};

use crate::padded::push_padded;

/// What each thread remembers of the members that it wrote, of those whose name and value stand in the program.
///
/// The names of facts, and most of their values, do: what was at an address once stays there, and so such a text is known
/// again by where it is, without a look at what it says. A memo that is full remembers no more.
pub(crate) struct Memo(Box<[Known; SLOTS]>);

/// A power of two; several times what the layers of one service record.
const SLOTS: usize = 256;

/// How many neighbouring slots a member may lie in.
const WINDOW: usize = 8;

/// The most bytes of a member that is remembered.
const MOST: usize = 48;

/// A name and a value; of a name alone, whose value is another each time, the value is empty. So no empty value is
/// remembered.
type Pair = (&'static str, &'static str);

#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// Twice empty where nothing is known.
    pair: Pair,
    written: [u8; MOST],
    length: usize,
}

impl Memo {
    #[inline]
    pub(crate) fn find(&self, pair: Pair) -> Option<&Known> {
        // Most lie in the first slot where they may.
        let first = &self.0[place(pair)];
        if first.is(pair) { Some(first) } else { self.find_further(pair) }
    }

    #[inline(never)]
    fn find_further(&self, pair: Pair) -> Option<&Known> {
        window(pair).map(|place| &self.0[place]).find(|known| known.is(pair))
    }

    /// Remembers how the member is written, if that is short and there is room.
    pub(crate) fn keep(&mut self, pair: Pair, written: &[u8]) {
        let free = window(pair).find(|place| self.0[*place].length == 0);
        let Some(place) = free.filter(|_| !pair.0.is_empty() && written.len() <= MOST) else { return };
        let known = &mut self.0[place];
        known.pair = pair;
        known.length = written.len();
        known.written[..written.len()].copy_from_slice(written);
    }
}

impl Default for Memo {
    fn default() -> Self {
        Self(Box::new([Known { pair: ("", ""), written: [0; MOST], length: 0 }; SLOTS]))
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.iter().filter(|known| known.length > 0);
        f.debug_map().entries(known.map(|known| known.pair)).finish()
    }
}

impl Known {
    #[inline]
    fn is(&self, pair: Pair) -> bool {
        ptr::eq(self.pair.0, pair.0) && ptr::eq(self.pair.1, pair.1)
    }

    #[inline]
    pub(crate) fn push_to(&self, buffer: &mut Vec<u8>) {
        push_padded(buffer, &self.written, self.length);
    }
}

/// The first slot where a member may lie.
#[inline]
fn place((name, value): Pair) -> usize {
    let address = |text: &str| text.as_ptr().addr() as u64;
    let both = address(name) ^ address(value).rotate_left(32);
    // The upper bits of the product are the well mixed ones (Knuth's multiplicative hashing).
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

fn window(pair: Pair) -> impl Iterator<Item = usize> {
    let first = place(pair);
    (first..first + WINDOW).map(|place| place % SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(memo: &Memo, pair: Pair) -> Option<Vec<u8>> {
        let mut buffer = b"before ".to_vec();
        memo.find(pair)?.push_to(&mut buffer);
        Some(buffer.strip_prefix(b"before ").unwrap().to_vec())
    }

    fn leak(text: &str) -> &'static str {
        text.to_owned().leak()
    }

    #[test]
    fn a_member_is_known_by_the_places_and_the_lengths_of_its_texts() {
        let mut memo = Memo::default();
        let (name, value) = (leak("rate_limit.policy"), leak("per minute"));
        memo.keep((name, value), b"both");
        memo.keep((&name[..10], value), b"another name");
        memo.keep((name, &value[..3]), b"another value");
        memo.keep((name, ""), b"the name");
        assert_eq!(written(&memo, (name, value)).unwrap(), b"both");
        assert_eq!(written(&memo, (&name[..10], value)).unwrap(), b"another name");
        assert_eq!(written(&memo, (name, &value[..3])).unwrap(), b"another value");
        assert_eq!(written(&memo, (name, "")).unwrap(), b"the name");
        for unknown in [(&name[..4], value), (name, &value[..4]), (value, name), (&name[..10], "")] {
            assert_eq!(written(&memo, unknown), None);
        }
        assert_eq!(written(&memo, (leak("rate_limit.policy"), value)), None, "it says the same elsewhere");
    }

    #[test]
    fn what_is_long_or_has_no_name_is_not_remembered() {
        let mut memo = Memo::default();
        let (fits, long) = (leak("fits"), leak("long"));
        memo.keep((fits, ""), &[b'x'; MOST]);
        memo.keep((long, ""), &[b'x'; MOST + 1]);
        memo.keep((&fits[4..], fits), b"x");
        assert_eq!(written(&memo, (fits, "")).unwrap(), [b'x'; MOST]);
        assert_eq!(format!("{memo:?}"), r#"{"fits": ""}"#);
    }

    #[test]
    fn a_full_memo_keeps_what_it_has_and_takes_no_more() {
        let mut memo = Memo::default();
        let texts: Vec<_> = (0..10 * SLOTS).map(|number| leak(&number.to_string())).collect();
        for text in &texts {
            memo.keep((text, ""), text.as_bytes());
        }
        let known: Vec<_> =
            texts.iter().filter_map(|text| Some((text, written(&memo, (text, ""))?))).collect();
        assert_eq!(known.len(), SLOTS, "every slot is used");
        assert!(known.iter().all(|(text, written)| text.as_bytes() == written));
    }
}
