//! The forms that the contract asks of a text: ids, references, lengths (causeline.schemas.ids and .references).

/// Schemes that address a person, whom only an id of the application's own may name.
const ADDRESSES: [&str; 5] = ["mailto:", "tel:", "sms:", "xmpp:", "acct:"];

/// Whether a text has so many characters, which are counted only where its bytes do not settle it.
pub fn has_length(text: &str, shortest: usize, longest: usize) -> bool {
    let bytes = text.len();
    let settled = bytes <= longest && shortest <= 1;
    let length = if settled { bytes } else { text.chars().count() };
    (shortest..=longest).contains(&length)
}

/// Whether a text is so many lower-case hex digits, not all of them zero.
pub fn is_hexadecimal(text: &str, digits: usize) -> bool {
    let mut some = 0;
    text.len() == digits
        && text.bytes().all(|byte| {
            some |= byte ^ b'0';
            matches!(byte, b'0'..=b'9' | b'a'..=b'f')
        })
        && some != 0
}

/// Whether a text is a reference: `scheme:…` without blanks.
pub fn is_reference(text: &str) -> bool {
    match after_scheme(text) {
        Some(rest) => !rest.is_empty() && !has_blank(rest),
        None => false,
    }
}

/// Whether a text may stand for a person: letters, digits and `_.:-` behind a scheme that is no address's.
pub fn is_persons_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let is_address = |address: &&str| {
        text.as_bytes().get(..address.len()).is_some_and(|start| start.eq_ignore_ascii_case(address.as_bytes()))
    };
    after_scheme(text).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
        && !ADDRESSES.iter().any(is_address)
}

/// What follows the scheme and its colon.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    let begins = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    (begins && scheme.bytes().all(in_scheme)).then_some(rest)
}

fn has_blank(text: &str) -> bool {
    // One pass without a branch settles nearly every text: nothing below `!` and nothing above ASCII.
    let odd = text.bytes().fold(false, |odd, byte| odd | !(0x21..0x80).contains(&byte));
    odd && text.chars().any(is_blank)
}

/// What Python's `\s` means.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\x09'..='\x0d' | '\x1c'..='\x20' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
            | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(has_length(&"ü".repeat(256), 1, 256));
        assert!(!has_length(&"ü".repeat(257), 1, 256));
        assert!(!has_length("", 1, 256));
        assert!(has_length("", 0, 256));
        assert!(!has_length("üü", 3, 256));
    }

    #[test]
    fn an_id_has_its_digits_in_lower_case_and_one_that_is_not_zero() {
        assert!(is_hexadecimal("00000000000000af", 16));
        for wrong in ["0000000000000000", "00000000000000AF", "00000000000000a", "00000000000000ag"] {
            assert!(!is_hexadecimal(wrong, 16), "{wrong}");
        }
    }

    #[test]
    fn a_reference_has_a_scheme_and_no_blank() {
        for good in ["artifact:sha256/ab", "s3:ü", "a:b:c", "a+b.c-1:x", "a:\u{0}"] {
            assert!(is_reference(good), "{good}");
        }
        for wrong in ["", "a:", ":a", "1:a", "no scheme", "a: b", "a:\n", "a:\u{3000}", "a:\u{85}", "ü:a", "a_b:c"] {
            assert!(!is_reference(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_person_is_named_by_an_id_and_never_by_an_address() {
        assert!(is_persons_id("reviewer:17"));
        for wrong in ["mailto:jane", "TEL:1", "reviewer:jane@x.org", "reviewer:ü", "reviewer:", "17"] {
            assert!(!is_persons_id(wrong), "{wrong}");
        }
    }
}
