//! Short texts, copied with what stands behind them.

use bartizan_core::MethodName;

/// Appends the first `length` bytes of `text`: all there are, and then what is too much taken back. To copy a number of bytes
/// that the compiler knows takes no call.
#[inline(always)]
pub(crate) fn push_padded<const N: usize>(buffer: &mut Vec<u8>, text: &[u8; N], length: usize) {
    let end = buffer.len() + length;
    buffer.extend_from_slice(text);
    buffer.truncate(end);
}

/// A text of at most 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    text: [u8; 8],
    length: usize,
}

impl Short {
    /// The first 8 bytes of `text`.
    pub(crate) const fn new(text: &str) -> Self {
        let (text, mut short) = (text.as_bytes(), Self { text: [0; 8], length: 0 });
        while short.length < text.len() && short.length < short.text.len() {
            short.text[short.length] = text[short.length];
            short.length += 1;
        }
        short
    }

    #[inline(always)]
    pub(crate) fn push_to(self, buffer: &mut Vec<u8>) {
        push_padded(buffer, &self.text, self.length);
    }
}

/// How a method is written.
#[inline]
pub(crate) fn method(name: MethodName) -> Short {
    METHODS[usize::from(name.number())]
}

const METHODS: [Short; MethodName::COUNT] = {
    let mut methods = [Short::new(""); MethodName::COUNT];
    let mut number = 0;
    while number < methods.len() {
        methods[number] = Short::new(MethodName::from_number(number as u8).as_str());
        number += 1;
    }
    methods
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_written_as_it_is_named() {
        for number in 0..=u8::MAX {
            let (name, mut buffer) = (MethodName::from_number(number), b"before ".to_vec());
            method(name).push_to(&mut buffer);
            assert_eq!(buffer, format!("before {name}").as_bytes());
        }
    }
}
