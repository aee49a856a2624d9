//! Decimal digits, three at a time.

use crate::padded::push_padded;

/// The last three decimal digits of `number`.
#[inline]
pub(crate) fn three(number: u64) -> [u8; 3] {
    THREE[(number % 1000) as usize]
}

/// Appends a number. Most are small, and those need no division.
#[inline]
pub(crate) fn push(buffer: &mut Vec<u8>, number: u64) {
    if number >= 1000 {
        return push_large(buffer, number);
    }
    let [a, b, c] = three(number);
    let zeros = usize::from(number < 100) + usize::from(number < 10);
    let text = u32::from_le_bytes([a, b, c, 0]) >> (8 * zeros);
    push_padded(buffer, &text.to_le_bytes(), 3 - zeros);
}

#[inline(never)]
fn push_large(buffer: &mut Vec<u8>, number: u64) {
    buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

const THREE: [[u8; 3]; 1000] = {
    let mut table = [[b'0'; 3]; 1000];
    let mut number = 0;
    while number < 1000 {
        let digits = [number / 100, number / 10 % 10, number % 10];
        table[number] = [b'0' + digits[0] as u8, b'0' + digits[1] as u8, b'0' + digits[2] as u8];
        number += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_it_is_read() {
        for number in (0..2000).chain([u64::MAX]) {
            let mut text = b"before ".to_vec();
            push(&mut text, number);
            assert_eq!(text, format!("before {number}").as_bytes());
        }
    }

    #[test]
    fn the_digits_are_the_last_three_with_zeros_in_front() {
        for number in (0..2000).chain([u64::MAX]) {
            assert_eq!(three(number), *format!("{:03}", number % 1000).as_bytes());
        }
    }
}
