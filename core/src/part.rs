//! Events of one run as bytes, and where each stood in the log.

use crate::event::{Event, say_the_same};
use crate::schema::{EVENT_TYPE, TYPE_STEP_FINISHED};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    data: Vec<u8>,
    events: Vec<(u32, Option<Place>)>,
}

impl Part {
    /// Take in an event's bytes; None where a part would be too large.
    pub fn push(&mut self, item: &[u8], place: Option<Place>) -> Option<()> {
        self.events.push((u32::try_from(self.data.len()).ok()?, place));
        self.data.extend_from_slice(item);
        Some(())
    }

    /// How many events they are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of one event.
    pub fn item(&self, number: usize) -> Option<&[u8]> {
        let start = self.events.get(number)?.0 as usize;
        let end = self.events.get(number + 1).map_or(self.data.len(), |(next, _)| *next as usize);
        self.data.get(start..end)
    }

    /// The bytes of each event, and where it stood.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], Option<Place>)> {
        let ends = self.events.iter().skip(1).map(|(start, _)| *start as usize).chain([self.data.len()]);
        self.events
            .iter()
            .zip(ends)
            .map(|((start, place), end)| (self.data.get(*start as usize..end).unwrap_or_default(), *place))
    }
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

/// The events of a run by their ids: in which part each is, and which of it.
#[derive(Default)]
pub struct Known(HashMap<u128, (usize, usize)>);

impl Known {
    /// Which events of `part` are new, which is the one of this number and which `parts` gives by it, as all before it.
    /// They are known then. None where one is not sound.
    pub fn take<'p>(
        &mut self,
        part: &'p Part,
        number: usize,
        parts: impl Fn(usize) -> Option<&'p Part>,
    ) -> Option<Fresh> {
        let mut found = Fresh::default();
        for (place_in_part, (item, place)) in part.items().enumerate() {
            let event = Event::again(item)?;
            match self.0.entry(number_of(event.id())?) {
                Entry::Vacant(free) => {
                    free.insert((number, place_in_part));
                    found.steps += usize::from(event.text(EVENT_TYPE) == TYPE_STEP_FINISHED);
                    found.part.push(item, place)?;
                }
                Entry::Occupied(there) => {
                    let (of, which) = *there.get();
                    let first = Event::again(parts(of)?.item(which)?)?;
                    found.duplicates += 1;
                    found.conflicting += usize::from(!say_the_same(&first, &event));
                }
            }
        }
        Some(found)
    }
}

/// An id of hex digits as a number.
fn number_of(id: &[u8]) -> Option<u128> {
    u128::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}
