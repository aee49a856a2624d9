//! Pointers into documents that callers wrote.

use std::borrow::Cow;

/// The most bytes of names in one pointer. What lies deeper is pointed at by its nearest parent within.
const MAX: usize = 1024;

/// `segments` from the root, as far as they are short enough to repeat.
pub(crate) fn bounded(segments: impl IntoIterator<Item = Cow<'static, str>>) -> Vec<Cow<'static, str>> {
    let mut left = MAX;
    segments
        .into_iter()
        .map_while(|segment| {
            left = left.checked_sub(segment.len() + 1)?;
            Some(segment)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_12_a_pointer_into_long_names_ends_at_a_parent() {
        let long = || Cow::Owned("x".repeat(500));
        assert_eq!(bounded([long(), long(), long()]).len(), 2);
        assert_eq!(bounded([Cow::Borrowed("a"), Cow::Borrowed("b")]), ["a", "b"]);
    }
}
