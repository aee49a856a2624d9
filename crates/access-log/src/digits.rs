//! Decimal digits, three at a time.

/// The last three decimal digits of `number`.
#[inline]
pub(crate) fn three(number: u64) -> [u8; 3] {
    THREE[(number % 1000) as usize]
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
    fn the_digits_are_the_last_three_with_zeros_in_front() {
        for number in (0..2000).chain([u64::MAX]) {
            assert_eq!(three(number), *format!("{:03}", number % 1000).as_bytes());
        }
    }
}
