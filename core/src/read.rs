//! What stands in a message of the events topic: of each run and emitter its events, held to the contract.
//!
//! A message of which anything is not as we write it is left to Python, which takes what is good of it and says what
//! is not.

use crate::avro::{NULL, Reader, put_bytes};
use crate::contract::keeps;
use crate::event::{Event, walk};
use crate::part::{Part, Place};
use crate::schema::{
    AFTERTHOUGHTS, CLAIMS, EMITTER_ID, EVENT_TYPE, EXPECTED_EVENTS, EXPECTED_STEPS, FIELDS, RUN_ID, SEQ,
    TYPE_EVIDENCE_CHECKED, TYPE_RUN_FINISHED, TYPE_RUN_STARTED, TYPE_STEP_FINISHED, WORKFLOW,
};
use std::collections::HashMap;

/// What one message holds of one run from one emitter.
#[allow(missing_docs)]
pub struct Share {
    pub run_id: Vec<u8>,
    pub emitter_id: Vec<u8>,
    pub workflow: Vec<u8>,
    pub seqs: Vec<i64>,
    pub starts: usize,
    pub ends: usize,
    pub steps: usize,
    pub afterthoughts: usize,
    pub expected_events: Option<i64>,
    pub expected_steps: usize,
    pub part: Part,
}

/// The shares of a message, and the bytes of its pieces of evidence.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Taken {
    pub events: usize,
    pub shares: Vec<Share>,
    pub checks: Vec<Vec<u8>>,
}

/// What stands in a payload; None unless all of it is as we write it, and keeps the contract.
pub fn take(payload: &[u8], partition: i32, offset: i64) -> Option<Taken> {
    let mut reader = Reader::new(payload, 0);
    reader.text()?; // who sent it
    let count = usize::try_from(reader.long()?).ok()?;
    let mut taken = Taken::default();
    let mut places = [0; FIELDS + 1];
    let mut known: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
    let mut at = reader.at();
    for item in 0..u32::try_from(count).ok()? {
        let end = walk(payload, at, &mut places)?;
        let event = Event::found(payload.get(at..end)?, places);
        if !keeps(&event) {
            return None;
        }
        let of = (event.text(RUN_ID), event.text(EMITTER_ID));
        let last = taken.shares.len();
        let share = *known.entry(of).or_insert(last);
        if share == last {
            taken.shares.push(Share::of(&event));
        }
        let place = Place { partition, offset, item };
        taken.shares.get_mut(share)?.push(&event, place)?;
        if event.text(EVENT_TYPE) == TYPE_EVIDENCE_CHECKED {
            taken.checks.push(event.bytes().to_vec());
        }
        taken.events += 1;
        at = end;
    }
    let is_whole = if count == 0 { at == payload.len() } else { payload.get(at..) == Some(&[NULL]) };
    is_whole.then_some(taken)
}

/// A share of events that are sound already; None where one is not.
pub fn share_of<'a>(items: impl Iterator<Item = (&'a [u8], Option<Place>)>) -> Option<Part> {
    let mut part = Part::default();
    for (item, place) in items {
        Event::of(item)?;
        part.push(item, place)?;
    }
    Some(part)
}

impl Share {
    fn of(event: &Event<'_>) -> Share {
        Share {
            run_id: event.text(RUN_ID).to_vec(),
            emitter_id: event.text(EMITTER_ID).to_vec(),
            workflow: event.text(WORKFLOW).to_vec(),
            seqs: Vec::new(),
            starts: 0,
            ends: 0,
            steps: 0,
            afterthoughts: 0,
            expected_events: None,
            expected_steps: 0,
            part: Part::default(),
        }
    }

    fn push(&mut self, event: &Event<'_>, place: Place) -> Option<()> {
        let kind = event.text(EVENT_TYPE);
        self.seqs.push(event.long(SEQ));
        self.starts += usize::from(kind == TYPE_RUN_STARTED);
        self.ends += usize::from(kind == TYPE_RUN_FINISHED);
        self.steps += usize::from(kind == TYPE_STEP_FINISHED);
        self.afterthoughts += usize::from(AFTERTHOUGHTS.contains(&kind));
        self.expected_events = self.expected_events.max(event.maybe_long(EXPECTED_EVENTS));
        if event.says(EXPECTED_STEPS) {
            self.expected_steps = self.expected_steps.max(event.texts(EXPECTED_STEPS).len());
        }
        match CLAIMS.iter().find(|(decision, _)| *decision == kind) {
            None => self.part.push(event.bytes(), Some(place)),
            Some((_, claim)) => self.part.push(&called(event, claim), Some(place)),
        }
    }
}

/// The event under another type.
fn called(event: &Event<'_>, kind: &[u8]) -> Vec<u8> {
    let (before, after) = event.around(EVENT_TYPE);
    let mut out = Vec::with_capacity(event.bytes().len() + kind.len());
    out.extend_from_slice(before);
    put_bytes(&mut out, kind);
    out.extend_from_slice(after);
    out
}
