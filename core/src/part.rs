//! Events of one run as bytes, packed while they wait, and where each stood in the log.

use crate::avro::{NULL, Reader, SOME, put_long};
use crate::event::{Event, say_the_same};
use crate::schema::{EVENT_TYPE, TYPE_STEP_FINISHED};
use lz4_flex::block::{compress, decompress};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

/// Where an event stood: which one of which message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub struct Place {
    pub partition: i32,
    pub offset: i64,
    pub item: u32,
}

/// Events of one run in order of arrival; those of the store stand nowhere.
#[derive(Default)]
pub struct Part {
    count: usize,
    size: usize,
    packed: Box<[u8]>,
}

/// Events that become a part.
#[derive(Default)]
pub struct Gathering {
    count: usize,
    bytes: Vec<u8>,
}

impl Gathering {
    /// Take in an event's bytes.
    pub fn push(&mut self, item: &[u8], place: Option<Place>) {
        let out = &mut self.bytes;
        match place {
            None => out.push(NULL),
            Some(place) => {
                out.push(SOME);
                put_long(out, i64::from(place.partition));
                put_long(out, place.offset);
                put_long(out, i64::from(place.item));
            }
        }
        put_long(out, item.len() as i64);
        out.extend_from_slice(item);
        self.count += 1;
    }

    /// The part that they are.
    pub fn packed(&self) -> Part {
        Part { count: self.count, size: self.bytes.len(), packed: compress(&self.bytes).into_boxed_slice() }
    }
}

impl Part {
    /// How many events they are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its events, unpacked; None where they cannot be.
    pub fn open(&self) -> Option<Open> {
        let bytes = decompress(&self.packed, self.size).ok()?;
        let mut events = Vec::with_capacity(self.count);
        let mut reader = Reader::new(&bytes, 0);
        for _ in 0..self.count {
            let place = if reader.is_some()? {
                let partition = i32::try_from(reader.long()?).ok()?;
                Some(Place { partition, offset: reader.long()?, item: u32::try_from(reader.long()?).ok()? })
            } else {
                None
            };
            let length = usize::try_from(reader.long()?).ok()?;
            let start = reader.at();
            reader.take(length)?;
            events.push((start..reader.at(), place));
        }
        Some(Open { bytes, events })
    }
}

/// The events of a part, unpacked.
pub struct Open {
    bytes: Vec<u8>,
    events: Vec<(Range<usize>, Option<Place>)>,
}

impl Open {
    /// The bytes of one event.
    pub fn item(&self, number: usize) -> Option<&[u8]> {
        self.bytes.get(self.events.get(number)?.0.clone())
    }

    /// The bytes of each event, and where it stood.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], Option<Place>)> {
        self.events.iter().map(|(range, place)| (self.bytes.get(range.clone()).unwrap_or_default(), *place))
    }
}

/// The events of several parts as one; None where one cannot be unpacked.
pub fn together<'p>(parts: impl Iterator<Item = &'p Part>) -> Option<Part> {
    let mut all = Gathering::default();
    for part in parts {
        part.open()?.items().for_each(|(item, place)| all.push(item, place));
    }
    Some(all.packed())
}

/// Of a part the events that were not known, and what the others were.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Fresh {
    pub part: Part,
    pub steps: usize,
    pub duplicates: usize,
    pub conflicting: usize,
}

/// The events of a run by their ids, once some may have come again.
#[derive(Default)]
pub struct Known {
    parts: Vec<Open>,
    by_id: HashMap<u128, (usize, usize)>,
}

impl Known {
    /// Which events of a part are new; they are known then. None where one is not sound.
    pub fn take(&mut self, part: &Part) -> Option<Fresh> {
        let mut found = Fresh::default();
        let mut new = Gathering::default();
        let coming = self.parts.len();
        self.parts.push(part.open()?);
        for (number, (item, place)) in self.parts.last()?.items().enumerate() {
            let event = Event::again(item)?;
            match self.by_id.entry(number_of(event.id())?) {
                Entry::Vacant(free) => {
                    free.insert((coming, number));
                    found.steps += usize::from(event.text(EVENT_TYPE) == TYPE_STEP_FINISHED);
                    new.push(item, place);
                }
                Entry::Occupied(there) => {
                    let (part, number) = *there.get();
                    let first = Event::again(self.parts.get(part)?.item(number)?)?;
                    found.duplicates += 1;
                    found.conflicting += usize::from(!say_the_same(&first, &event));
                }
            }
        }
        found.part = new.packed();
        Some(found)
    }
}

/// An id of hex digits as a number.
fn number_of(id: &[u8]) -> Option<u128> {
    u128::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::tests::item;

    fn part(items: &[Vec<u8>]) -> Part {
        let mut gathering = Gathering::default();
        for (number, item) in (0..).zip(items) {
            gathering.push(item, Some(Place { partition: -1, offset: 1 << 40, item: number }));
        }
        gathering.packed()
    }

    fn items(part: &Part) -> Vec<Vec<u8>> {
        part.open().map(|open| open.items().map(|(item, _)| item.to_vec()).collect()).unwrap_or_default()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let said: Vec<Vec<u8>> = (0..9).map(|seq| item("step_finished", seq)).collect();
        let packed = part(&said);
        assert_eq!(items(&packed), said);
        assert!(packed.packed.len() < said.concat().len() / 2, "{}", packed.packed.len());
        assert_eq!(items(&Gathering::default().packed()), Vec::<Vec<u8>>::new());
        let twice = together([&packed, &packed].into_iter());
        assert_eq!(twice.map(|both| (both.len(), items(&both))), Some((18, [said.clone(), said].concat())));
    }

    #[test]
    fn what_is_damaged_is_not_unpacked() {
        let mut packed = part(&[item("step_finished", 1)]);
        packed.packed = packed.packed.iter().take(packed.packed.len() / 2).copied().collect();
        assert!(packed.open().is_none());
    }

    #[test]
    fn an_event_that_comes_again_is_known_and_one_that_says_something_else_is_told() {
        let (one, other) = (item("step_finished", 1), item("step_finished", 2));
        let mut conflicting = one.clone();
        if let Some(last) = conflicting.iter_mut().rev().find(|byte| **byte == b't') {
            *last = b'u';
        }
        let mut known = Known::default();
        let told = |fresh: Option<Fresh>| fresh.map(|new| (new.part.len(), new.steps, new.duplicates, new.conflicting));
        assert_eq!(told(known.take(&part(&[one.clone(), one.clone()]))), Some((1, 1, 1, 0)));
        assert_eq!(told(known.take(&part(&[conflicting, other]))), Some((1, 1, 1, 1)));
        assert_eq!(told(known.take(&part(&[one]))), Some((0, 0, 1, 0)));
    }
}
