//! Avro's numbers and texts as bytes (Apache Avro 1.12, "Binary encoding").

/// A number: zig-zag, seven bits a byte, the least first.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A text: its UTF-8 behind the number of its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_long(&mut out, value);
        out
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        for (value, bytes) in [(0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (-64, "7f"), (64, "8001")] {
            let hex: String = long(value).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes, "{value}");
        }
    }

    #[test]
    fn the_largest_numbers_have_ten_bytes() {
        assert_eq!(long(i64::MAX), [0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(long(i64::MIN), [0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn a_text_says_its_bytes_and_not_its_characters() {
        let mut out = Vec::new();
        put_text(&mut out, "ü");
        assert_eq!(out, [4, 0xc3, 0xbc]);
    }
}
