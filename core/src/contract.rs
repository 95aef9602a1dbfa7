//! The contract of stored events (causeline.schemas.contract), asked of one event: kept, or not. What is wrong is said by
//! Python, which reads such a message itself.

use crate::avro::Reader;
use crate::event::{Event, Kind};
use crate::form::{has_length, is_hexadecimal, is_reference};
use crate::schema::{CONFLICT_SIDES, EVENT_TYPE, KINDS, MUST_SAY, RULES};

/// What is asked of a field that is said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    /// So many lower-case hex digits, not all zero.
    Hex(usize),
    /// How many characters a text has.
    Chars(usize, usize),
    /// Within which bounds a whole number lies.
    Whole(i64, i64),
    /// Within which bounds a number lies, which is finite.
    Number(f64, f64),
    /// How many items a list has at most.
    Items(usize),
    /// A reference of at most so many characters.
    Reference(usize),
    /// A list of such.
    References(usize),
}

/// Whether an event keeps the contract.
pub fn keeps(event: &Event<'_>) -> bool {
    RULES.iter().all(|(field, rule)| holds(event, *field, *rule)) && sides_hold(event) && says_what_it_must(event)
}

fn holds(event: &Event<'_>, field: usize, rule: Rule) -> bool {
    let kind = KINDS.get(field).copied().unwrap_or(Kind::Text);
    let is_always_there = matches!(kind, Kind::Text | Kind::Long);
    if !is_always_there && !event.says(field) {
        return true;
    }
    match rule {
        Rule::Number(least, most) => number(event, field, kind).is_some_and(|value| least <= value && value <= most),
        Rule::Whole(least, most) => {
            let value = if is_always_there { Some(event.long(field)) } else { event.maybe_long(field) };
            value.is_some_and(|value| (least..=most).contains(&value))
        }
        Rule::Items(most) => event.texts_or_more(field, kind) <= most,
        Rule::References(most) => {
            event.texts(field).iter().all(|text| read(text).is_some_and(|text| refers(text, most)))
        }
        _ => {
            let said = if is_always_there { Some(event.text(field)) } else { event.maybe_text(field) };
            said.and_then(read).is_some_and(|text| is_good(text, rule))
        }
    }
}

fn is_good(text: &str, rule: Rule) -> bool {
    match rule {
        Rule::Hex(digits) => is_hexadecimal(text, digits),
        Rule::Chars(least, most) => has_length(text, least, most),
        Rule::Reference(most) => refers(text, most),
        _ => false,
    }
}

fn refers(text: &str, most: usize) -> bool {
    has_length(text, 0, most) && is_reference(text)
}

fn read(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

fn number(event: &Event<'_>, field: usize, kind: Kind) -> Option<f64> {
    match kind {
        Kind::Long => Some(event.long(field) as f64),
        Kind::MaybeLong | Kind::MaybeInt => event.maybe_long(field).map(|value| value as f64),
        _ => event.maybe_double(field),
    }
}

fn sides_hold(event: &Event<'_>) -> bool {
    !event.says(CONFLICT_SIDES)
        || event.sides().iter().all(|side| {
            (0.0..=1.0).contains(&side.score.unwrap_or(0.0))
                && [Some(side.source), side.value]
                    .into_iter()
                    .flatten()
                    .all(|text| read(text).is_some_and(is_reference))
        })
}

fn says_what_it_must(event: &Event<'_>) -> bool {
    let kind = event.text(EVENT_TYPE);
    let must = MUST_SAY.iter().find(|(name, _)| *name == kind);
    must.is_none_or(|(_, fields)| fields.iter().all(|field| event.says(*field)))
}

impl Event<'_> {
    /// How many items a list has, of texts or of anything else.
    fn texts_or_more(&self, field: usize, kind: Kind) -> usize {
        let lead = Reader::new(self.raw(field), 0).long().unwrap_or_default();
        if matches!(kind, Kind::Texts | Kind::Labels | Kind::Sides) {
            usize::try_from(lead).unwrap_or(usize::MAX)
        } else {
            0
        }
    }
}
