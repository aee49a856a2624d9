//! Text of the client's, made short enough to repeat.

use std::borrow::Cow;

/// The most bytes of a client's text that a refusal repeats.
const MAX: usize = 128;

/// `text`, cut to at most 128 bytes on a character boundary and marked with `…` where it was cut.
///
/// Whatever a refusal repeats of the request passes through here first.
///
/// ```
/// let long = "x".repeat(1000);
/// assert_eq!(bartizan_core::excerpt("short"), "short");
/// assert_eq!(bartizan_core::excerpt(&long).len(), 128);
/// ```
pub fn excerpt(text: &str) -> Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= MAX {
        return Cow::Borrowed(text);
    }
    let mut end = MAX - MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}{MARK}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_12_repeated_text_is_capped() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let short = excerpt(text);
            assert!(short.len() <= MAX);
            assert!(short == text.as_str() || short.ends_with('…'));
        });
        assert_eq!(excerpt(&"é".repeat(100)).len(), 127);
    }
}
