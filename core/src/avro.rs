//! Avro's numbers and texts as bytes (Apache Avro 1.12, "Binary encoding"), written and read.

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

/// A nullable value's branch, where null stands first.
pub const SOME: u8 = 2;
/// The branch of null; also the end of an array.
pub const NULL: u8 = 0;

/// A text, or null.
pub fn put_maybe_text(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.push(NULL),
        Some(text) => {
            out.push(SOME);
            put_bytes(out, text);
        }
    }
}

/// A text whose bytes are known to be UTF-8.
pub fn put_bytes(out: &mut Vec<u8>, text: &[u8]) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text);
}

/// A number, or null.
pub fn put_maybe_long(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => out.push(NULL),
        Some(value) => {
            out.push(SOME);
            put_long(out, value);
        }
    }
}

/// A number with a fraction, or null.
pub fn put_maybe_double(out: &mut Vec<u8>, value: Option<f64>) {
    match value {
        None => out.push(NULL),
        Some(value) => {
            out.push(SOME);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// An array that is never null though it could be: one block and its end, each item written by `put`.
pub fn put_array<T>(out: &mut Vec<u8>, items: impl ExactSizeIterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    out.push(SOME);
    if items.len() > 0 {
        put_long(out, items.len() as i64);
        for item in items {
            out.push(SOME);
            put(out, item);
        }
    }
    out.push(NULL);
}

/// Reads what nobody vouches for. None where the bytes end, or are not written in the one way in which we write them:
/// numbers in as few bytes as they need, arrays in one block that does not tell its size.
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader that stands at `at`.
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Reader { data, at }
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte, which it stays before.
    pub fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.data.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// A number.
    pub fn long(&mut self) -> Option<i64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(unzigzag(u64::from(first)));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            if byte == 0 || (shift == 63 && byte > 1) {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(unzigzag(value));
            }
        }
        None
    }

    /// A number with a fraction.
    pub fn double(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// The bytes of a text.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Whether a nullable value is there.
    pub fn is_some(&mut self) -> Option<bool> {
        match self.byte()? {
            NULL => Some(false),
            SOME => Some(true),
            _ => None,
        }
    }

    /// Read the items of an array; gives how many they are.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<usize> {
        let count = usize::try_from(self.long()?).ok()?;
        if count > 0 {
            for _ in 0..count {
                each(self)?;
            }
            if self.byte()? != NULL {
                return None;
            }
        }
        Some(count)
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
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

    #[test]
    fn what_is_written_is_read() {
        for value in [0, -1, 1, 63, 64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let bytes = long(value);
            let mut reader = Reader::new(&bytes, 0);
            assert_eq!((reader.long(), reader.at()), (Some(value), bytes.len()));
        }
    }

    #[test]
    fn numbers_that_are_cut_off_or_longer_than_they_need_be_are_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0], &[0xff; 11], &[0xff, 255, 255, 255, 255, 255, 255, 255, 255, 2]] {
            assert_eq!(Reader::new(bytes, 0).long(), None, "{bytes:?}");
        }
    }

    #[test]
    fn texts_and_arrays_end_where_they_say() {
        assert_eq!(Reader::new(&[4, 0xc3, 0xbc], 0).text(), Some("ü"));
        for bytes in [&[4, 0xc3][..], &[1], &[2, 0xff], &[0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1]] {
            assert_eq!(Reader::new(bytes, 0).text(), None, "{bytes:?}");
        }
        let items = |bytes: &[u8]| Reader::new(bytes, 0).array(|reader| reader.text().map(|_| ()));
        assert_eq!(items(&[0]), Some(0));
        assert_eq!(items(&[4, 2, b'a', 2, b'b', 0]), Some(2));
        for sized_or_cut in [&[1, 4, 2, b'a', 0][..], &[4, 2, b'a', 0], &[2, 2, b'a'], &[2, 2, b'a', 2, 2, b'b', 0]] {
            assert_eq!(items(sized_or_cut), None, "{sized_or_cut:?}");
        }
    }
}
