//! Events of one run as bytes, and where each stood in the log.

use crate::event::{Event, say_the_same};
use crate::schema::{EVENT_TYPE, TYPE_STEP_FINISHED};
use std::collections::HashMap;

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

    /// The bytes of each event, and where it stood.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], Option<Place>)> {
        let ends = self.events.iter().skip(1).map(|(start, _)| *start as usize).chain([self.data.len()]);
        self.events
            .iter()
            .zip(ends)
            .map(|((start, place), end)| (self.data.get(*start as usize..end).unwrap_or_default(), *place))
    }
}

/// Of a part the events that are not there yet, and what the others were.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Fresh {
    pub part: Part,
    pub steps: usize,
    pub duplicates: usize,
    pub conflicting: usize,
}

/// Which events of `part` are new to those of `held`, and to those before them. None where one is not sound.
pub fn fresh(held: &[&Part], part: &Part) -> Option<Fresh> {
    let mut known: HashMap<&[u8], &[u8]> = HashMap::new();
    for (item, _) in held.iter().flat_map(|each| each.items()) {
        known.entry(Event::again(item)?.id()).or_insert(item);
    }
    let mut found = Fresh::default();
    for (item, place) in part.items() {
        let event = Event::again(item)?;
        if let Some(first) = known.get(event.id()) {
            found.duplicates += 1;
            found.conflicting += usize::from(!say_the_same(&Event::again(first)?, &event));
        } else {
            known.insert(event.id(), item);
            found.steps += usize::from(event.text(EVENT_TYPE) == TYPE_STEP_FINISHED);
            found.part.push(item, place)?;
        }
    }
    Some(found)
}
