//! The `tracestate` that a caller sends (W3C Trace Context Level 2, section 3.3): plain types.

use bytes::Bytes;
use http::HeaderValue;

use super::member::{LARGE, Member, OwnEntry};

/// The most members of a list.
const MAX_MEMBERS: usize = 32;
/// The most characters that are sent on: as many as section 3.3.1.5 asks of everyone.
const MAX_LENGTH: usize = 512;

/// Why there is nothing to send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// What the lines say that may be sent on, with our own entry before it.
///
/// One line of good members is shared, not copied.
pub(crate) fn read<'a>(
    mut lines: impl Iterator<Item = &'a HeaderValue>,
    own: Option<&OwnEntry>,
) -> Result<Option<HeaderValue>, Invalid> {
    let Some(first) = lines.next() else { return Ok(own.and_then(begin)) };
    let mut members = Members::default();
    members.add_line(first.as_bytes())?;
    let mut is_alone = true;
    for line in lines {
        members.add_line(line.as_bytes())?;
        is_alone = false;
    }
    let fits = first.len() <= MAX_LENGTH && first.as_bytes().trim_ascii().len() == first.len();
    if is_alone && fits && own.is_none() && !members.has_duplicates {
        return Ok((members.count > 0).then(|| first.clone()));
    }
    Ok(members.into_header(own))
}

/// What a trace that begins here has: our own entry alone.
pub(crate) fn begin(own: &OwnEntry) -> Option<HeaderValue> {
    Members::default().into_header(Some(own))
}

/// The members of a list, in order.
#[derive(Default)]
struct Members<'a> {
    list: [Member<'a>; MAX_MEMBERS],
    count: usize,
    has_duplicates: bool,
}

impl<'a> Members<'a> {
    /// An empty member says nothing, and is none.
    fn add_line(&mut self, line: &'a [u8]) -> Result<(), Invalid> {
        let mut seen =
            line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty());
        seen.try_for_each(|text| {
            let member = Member::parse(text).ok_or(Invalid)?;
            self.has_duplicates |= self.list[..self.count].iter().any(|known| known.key() == member.key());
            *self.list.get_mut(self.count).ok_or(Invalid)? = member;
            self.count += 1;
            Ok(())
        })
    }

    /// The list to send on: our own entry first and once, of each other key the first, and no more than may be.
    fn into_header(mut self, own: Option<&OwnEntry>) -> Option<HeaderValue> {
        self.remove_duplicates(own);
        let own = own.map(|own| own.text());
        self.count = self.count.min(MAX_MEMBERS - usize::from(own.is_some()));
        self.cut(MAX_LENGTH - own.map_or(0, |own| own.len() + 1));

        let kept = || own.into_iter().chain(self.list[..self.count].iter().map(|member| member.text()));
        let length = kept().map(|member| member.len() + 1).sum::<usize>().checked_sub(1)?;
        // Of just this length, so that it is handed on without another allocation.
        let mut text = Vec::with_capacity(length);
        for member in kept() {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(member);
        }
        // Its characters are ASCII: this never fails.
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }

    fn remove_duplicates(&mut self, own: Option<&OwnEntry>) {
        let mut kept = 0;
        for index in 0..self.count {
            let member = self.list[index];
            let is_known = self.list[..kept].iter().any(|known| known.key() == member.key());
            if !is_known && own.is_none_or(|own| own.key() != member.key()) {
                self.list[kept] = member;
                kept += 1;
            }
        }
        self.count = kept;
    }

    /// Removes members until the text fits into `room`: large ones first, and then from the end.
    fn cut(&mut self, room: usize) {
        let mut length = self.list[..self.count]
            .iter()
            .map(|member| member.text().len() + 1)
            .sum::<usize>()
            .saturating_sub(1);
        while length > room && self.count > 0 {
            let list = &self.list[..self.count];
            let victim =
                list.iter().rposition(|member| member.text().len() > LARGE).unwrap_or(self.count - 1);
            length = length.saturating_sub(list[victim].text().len() + 1);
            self.list.copy_within(victim + 1..self.count, victim);
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn headers(lines: &[&str]) -> Vec<HeaderValue> {
        lines.iter().map(|line| HeaderValue::from_bytes(line.as_bytes()).unwrap()).collect()
    }

    fn with_own(lines: &[&str], own: Option<&OwnEntry>) -> Result<Option<String>, Invalid> {
        let sent = read(headers(lines).iter(), own)?;
        Ok(sent.map(|value| value.to_str().unwrap().to_owned()))
    }

    fn sent(lines: &[&str]) -> Result<Option<String>, Invalid> {
        with_own(lines, None)
    }

    fn numbered(count: usize) -> String {
        (1..=count).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",")
    }

    /// The cases of the W3C test suite, as far as Level 2 has not changed them.
    #[test]
    fn trc_05_good_lists_go_on() {
        let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
        let value: String = (' '..='~').filter(|char| !",=".contains(*char)).collect();
        let all = format!("{key}@a-z0-9_-*/={value}");
        let longest_key = format!("foo=1,{}=1", "z".repeat(256));
        let longest_value = format!("foo=1,z={}", "1".repeat(256));
        for good in [
            "foo=1",
            "foo=1,bar=2",
            "foo=1 \t , \t bar=2, \t baz=3",
            "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
            "foo=1,,bar=2",
            "foo= 1",
            "1=2",
            "foo@=1,foo@@bar=2,foo@bar@baz=3",
            "t@vvvvvvvvvvvvvvv=1",
            &all,
            &longest_key,
            &longest_value,
            &numbered(32),
        ] {
            assert_eq!(sent(&[good]), Ok(Some(good.to_owned())), "{good}");
        }
        for (lines, combined) in [
            (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"].as_slice(), "foo=1,bar=2,rojo=1,congo=2,baz=3"),
            (&["foo=1", ""], "foo=1"),
            (&["", "foo=1"], "foo=1"),
            (&[" foo=1"], "foo=1"),
            (&["\tfoo=1"], "foo=1"),
            (&["foo=1 "], "foo=1"),
            (&["\t foo=1 \t"], "foo=1"),
            (&["foo=1 ,", " bar=2"], "foo=1,bar=2"),
        ] {
            assert_eq!(sent(lines).unwrap().as_deref(), Some(combined), "{lines:?}");
        }
        let lines = [&numbered(32)[..80], &numbered(32)[81..]];
        assert_eq!(sent(&lines), Ok(Some(numbered(32))));
    }

    #[test]
    fn trc_05_empty_lists_say_nothing() {
        for lines in [[].as_slice(), &[""], &["", ""], &[" , ,\t"], &[","]] {
            assert_eq!(sent(lines), Ok(None), "{lines:?}");
        }
        let crowd = ",".repeat(400);
        assert_eq!(sent(&[&format!("{crowd}a=1")]), Ok(Some(format!("{crowd}a=1"))), "they are no members");
    }

    #[test]
    fn trc_05_one_bad_member_drops_the_list() {
        let (long_key, long_value) =
            (format!("foo=1,{}=1", "z".repeat(257)), format!("foo=1,z={}", "1".repeat(257)));
        for bad in [
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "@foo=1,bar=2",
            "_foo=1",
            "foo=bar=baz",
            "foo=,bar=3",
            "foo= ,bar=3",
            "foo",
            "=1",
            "foo=1,bar",
            "foo=a\tb",
            "foo=é",
            "é=1",
            &long_key,
            &long_value,
            &numbered(33),
        ] {
            assert_eq!(sent(&[bad]), Err(Invalid), "{bad}");
            assert_eq!(sent(&["good=1", bad]), Err(Invalid), "{bad}");
        }
        let lines = [&numbered(33)[..80], &numbered(33)[81..]];
        assert_eq!(sent(&lines), Err(Invalid), "33 members over two lines");
    }

    #[test]
    fn trc_05_of_a_duplicate_key_the_first_is_kept() {
        for (lines, kept) in [
            (["foo=1,foo=1"].as_slice(), "foo=1"),
            (&["foo=1,foo=2"], "foo=1"),
            (&["foo=1", "foo=1"], "foo=1"),
            (&["foo=1", "foo=2"], "foo=1"),
            (&["a=1,b=2,a=3,c=4,b=5"], "a=1,b=2,c=4"),
        ] {
            assert_eq!(sent(lines).unwrap().as_deref(), Some(kept), "{lines:?}");
        }
    }

    #[test]
    fn trc_05_the_own_entry_goes_first_and_once() {
        let own = OwnEntry::new("us", "t61rcWkgMzE").unwrap();
        for (line, expected) in [
            ("", "us=t61rcWkgMzE"),
            ("a=1,b=2", "us=t61rcWkgMzE,a=1,b=2"),
            ("a=1,us=old,b=2", "us=t61rcWkgMzE,a=1,b=2"),
            ("us=t61rcWkgMzE,a=1", "us=t61rcWkgMzE,a=1"),
        ] {
            assert_eq!(with_own(&[line], Some(&own)).unwrap().as_deref(), Some(expected), "{line}");
        }
        let full = with_own(&[&numbered(32)], Some(&own)).unwrap().unwrap();
        assert_eq!(full, format!("us=t61rcWkgMzE,{}", numbered(31)));
        assert_eq!(begin(&own).unwrap(), "us=t61rcWkgMzE");
        assert_eq!(with_own(&["a"], Some(&own)), Err(Invalid));
    }

    #[test]
    fn trc_06_512_characters_go_on() {
        let longest = format!("a={},b={},c={}", "1".repeat(126), "2".repeat(126), "3".repeat(250));
        assert_eq!(longest.len(), 510);
        let longest = format!("{longest}44");
        assert_eq!(sent(&[&longest]), Ok(Some(longest)));
    }

    #[test]
    fn trc_06_large_entries_go_first_and_then_the_last() {
        let entry = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - 2));
        let (a, b, c) = (entry("a", 128), entry("b", 129), entry("c", 128));
        let (d, e) = (entry("d", 200), entry("e", 120));
        let join =
            |entries: &[&String]| entries.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(",");
        for (list, kept) in [
            (vec![&a, &b, &c, &d, &e], vec![&a, &b, &c, &e]),
            (vec![&d, &a, &c, &e], vec![&a, &c, &e]),
            (vec![&b, &d, &a, &c], vec![&b, &a, &c]),
        ] {
            assert_eq!(sent(&[&join(&list)]), Ok(Some(join(&kept))));
        }
        let small: Vec<_> = (0..10).map(|n| entry(&n.to_string(), 60)).collect();
        let small: Vec<_> = small.iter().collect();
        assert_eq!(sent(&[&join(&small)]), Ok(Some(join(&small[..8]))));
        let alone = format!("{}={}", "k".repeat(256), "v".repeat(256));
        assert_eq!(sent(&[&alone]), Ok(None), "nothing is left, and half an entry is none");
        let own = OwnEntry::new("us", "1").unwrap();
        assert_eq!(with_own(&[&alone], Some(&own)), Ok(Some("us=1".into())));
    }

    #[test]
    fn one_good_line_is_shared() {
        let line = HeaderValue::from_maybe_shared(Bytes::from("a=1,b=2".to_owned())).unwrap();
        let sent = read([&line].into_iter(), None).unwrap().unwrap();
        assert_eq!(sent.as_bytes().as_ptr(), line.as_bytes().as_ptr());
    }

    #[test]
    fn trc_05_what_is_sent_on_is_a_good_list() {
        let own = OwnEntry::new("us", "1").unwrap();
        bolero::check!().with_type::<(bool, Vec<Vec<u8>>)>().for_each(|(with_own, lines)| {
            let lines: Vec<_> = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
            check(&lines, with_own.then_some(&own));
        });
    }

    /// As above, but of lists that are often good.
    #[test]
    fn trc_06_what_is_cut_is_a_good_list() {
        let own = OwnEntry::new("us", "1").unwrap();
        bolero::check!().with_type::<(bool, Vec<(u8, u8)>)>().for_each(|(with_own, members)| {
            let member = |(key, length): &(u8, u8)| {
                format!("k{}={}", key % 40, "v".repeat(usize::from(*length).max(1)))
            };
            let line = members.iter().take(32).map(member).collect::<Vec<_>>().join(" ,");
            let lines = [HeaderValue::from_bytes(line.as_bytes()).unwrap()];
            assert!(check(&lines, with_own.then_some(&own)), "{line}");
        });
    }

    /// Whether the lines are a list; if so, what is sent on must be one.
    fn check(lines: &[HeaderValue], own: Option<&OwnEntry>) -> bool {
        let Ok(sent) = read(lines.iter(), own) else { return false };
        let Some(sent) = sent else { return true };
        let text = sent.to_str().unwrap();
        assert!(text.len() <= MAX_LENGTH && !text.is_empty());
        let members: Vec<_> = text.split(',').map(|text| text.trim_ascii()).collect();
        let members: Vec<_> = members.into_iter().filter(|text| !text.is_empty()).collect();
        assert!(members.len() <= MAX_MEMBERS);
        assert!(members.iter().all(|text| Member::parse(text.as_bytes()).is_some()), "{text}");
        let keys: HashSet<_> = members.iter().map(|text| text.split_once('=').unwrap().0).collect();
        assert_eq!(keys.len(), members.len(), "{text}");
        assert!(own.is_none_or(|own| members[0].as_bytes() == own.text()));
        assert_eq!(read([&sent].into_iter(), own), Ok(Some(sent.clone())), "stays as it is");
        true
    }
}
