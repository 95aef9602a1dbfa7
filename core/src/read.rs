//! What stands in a message of the events topic: of each run and emitter its events, held to the contract.
//!
//! A message of which anything is not as we write it is left to Python, which takes what is good of it and says what
//! is not.

use crate::avro::{NULL, Reader, put_bytes};
use crate::contract::keeps;
use crate::event::{Event, walk};
use crate::part::{Gathering, Part, Place};
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
    pub events: Gathering,
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
        taken.shares.get_mut(share)?.push(&event, place);
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
    let mut events = Gathering::default();
    for (item, place) in items {
        Event::of(item)?;
        events.push(item, place);
    }
    Some(events.packed())
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
            events: Gathering::default(),
        }
    }

    fn push(&mut self, event: &Event<'_>, place: Place) {
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
            None => self.events.push(event.bytes(), Some(place)),
            Some((_, claim)) => self.events.push(&called(event, claim), Some(place)),
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::avro::{put_long, put_maybe_long, put_maybe_text, put_text};
    use crate::event::Kind;
    use crate::run::record::{Closing, Judged, join};
    use crate::schema::*;

    /// An event of one step, or of another type, that says what it must and a little more.
    pub fn item(kind: &str, seq: i64) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, how) in KINDS.iter().enumerate() {
            let text = match field {
                EVENT_ID => format!("{:032x}", seq + 1),
                RUN_ID => format!("{:032x}", 7),
                STEP_ID => format!("{:016x}", seq + 1),
                EVENT_TYPE => kind.to_owned(),
                _ => "text".to_owned(),
            };
            match how {
                Kind::Text => put_text(&mut out, &text),
                Kind::Long => put_long(&mut out, if field == SEQ { seq } else { 1_000 + seq }),
                Kind::MaybeText if [STEP_ID, STEP_KIND, STEP_NAME, STATUS, FINAL_STATE].contains(&field) => {
                    put_maybe_text(&mut out, Some(text.as_bytes()));
                }
                Kind::MaybeLong if field == STARTED_AT => put_maybe_long(&mut out, Some(900)),
                Kind::MaybeInt if field == EXPECTED_EVENTS && kind == "run_finished" => {
                    put_maybe_long(&mut out, Some(seq + 1));
                }
                Kind::Texts if field == CONTEXT_REFS => out.extend_from_slice(b"\x02\x06r:a\x00"),
                Kind::Labels => out.extend_from_slice(b"\x02\x02k\x02v\x00"),
                Kind::Sides => out.extend_from_slice(b"\x02\x06r:a\x00\x00\x00\x00"),
                _ => out.push(NULL),
            }
        }
        out
    }

    fn payload(items: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(&mut out, "sent by");
        if !items.is_empty() {
            put_long(&mut out, items.len() as i64);
        }
        out.extend(items.concat());
        out.push(NULL);
        out
    }

    fn whole() -> Vec<u8> {
        payload(&[item("run_started", 0), item("step_finished", 1), item("run_finished", 2)])
    }

    #[test]
    fn a_message_gives_the_shares_of_its_runs() {
        let taken = take(&whole(), 3, 17).map(|taken| (taken.events, taken.shares));
        let Some((3, shares)) = taken else { return assert!(taken.is_some(), "it is not taken") };
        let [share] = shares.as_slice() else { return assert_eq!(shares.len(), 1) };
        assert_eq!((share.seqs.as_slice(), share.starts, share.steps, share.ends), (&[0, 1, 2][..], 1, 1, 1));
        assert_eq!(share.expected_events, Some(3));
        let last = share.events.packed().open().and_then(|open| open.items().last().and_then(|(_, place)| place));
        assert_eq!(last, Some(Place { partition: 3, offset: 17, item: 2 }));
    }

    #[test]
    fn an_empty_message_has_nothing_in_it() {
        assert_eq!(take(&payload(&[]), 0, 0).map(|taken| taken.events), Some(0));
    }

    #[test]
    fn a_decision_is_a_claim() {
        let mut review = item("review_recorded", 1);
        let (lead, rest) =
            review.split_at(Event::again(&review).map_or(0, |event| event.around(REVIEW_OUTCOME).0.len()));
        review = [lead, b"\x02\x04ok", rest.get(1..).unwrap_or_default()].concat();
        let taken = take(&payload(&[review]), 0, 0);
        let share = taken.as_ref().and_then(|taken| taken.shares.first());
        let open = share.and_then(|share| share.events.packed().open());
        let event = open.as_ref().and_then(|open| Event::of(open.item(0)?));
        assert_eq!(event.map(|event| event.text(EVENT_TYPE)), Some(&b"review_claimed"[..]));
        assert_eq!(share.map(|share| share.afterthoughts), Some(1));
    }

    #[test]
    fn a_message_that_ends_early_or_late_is_not_taken() {
        let good = whole();
        for end in 0..good.len() {
            assert!(take(good.get(..end).unwrap_or_default(), 0, 0).is_none(), "{end}");
        }
        assert!(take(&[good.as_slice(), &[0]].concat(), 0, 0).is_none());
    }

    #[test]
    fn whatever_bytes_come_are_taken_or_refused_and_what_is_taken_gives_a_run() {
        let good = whole();
        let mut state = 1_u64;
        let mut chance = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut taken_ones, rounds) = (0, 40_000);
        for _ in 0..rounds {
            let mut bytes = good.clone();
            for _ in 0..=chance(2) {
                let at = chance(bytes.len());
                match chance(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, chance(256) as u8),
                    _ => bytes.get_mut(at).into_iter().for_each(|byte| *byte = chance(256) as u8),
                }
            }
            let Some(taken) = take(&bytes, 0, 0) else { continue };
            taken_ones += 1;
            for share in &taken.shares {
                let closing = Closing { closed_at: 1, reason: None, amended: false, policy_hash: b"", stretch: None };
                let none = || vec![2, 0];
                let judge = |_: &[&Event<'_>]| Some(Judged { gap_kinds: none(), gaps: none(), conflict_sides: none() });
                assert!(join(&[&share.events.packed()], &closing, judge).is_some());
            }
        }
        assert!(taken_ones > rounds / 100, "{taken_ones}");
    }
}
