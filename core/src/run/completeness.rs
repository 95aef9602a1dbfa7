//! Whether a run's record is whole, and what it lacks when it is not.

use super::ends::Ends;
use super::events::is_foreign;
use super::steps::label;
use crate::event::Event;
use crate::schema::{
    CLOSEREASON_FINISHED, CLOSEREASON_GRACE, CLOSEREASON_IDLE, CLOSEREASON_OVERFLOW, EMITTER_ID, ERROR_TYPE,
    EVENT_TYPE, EXPECTED_EVENTS, EXPECTED_STEPS, LOSS_ERROR, LOSS_STEP, LOST_EVENTS, MOST_LOST, PARENT_STEP_ID, SEQ,
    STEP_ID, STEP_KIND, STEP_NAME, TYPE_RUN_STARTED, TYPE_STEP_FINISHED, VERDICT_COMPLETE, VERDICT_PARTIAL,
    VERDICT_UNFINISHED,
};
use std::collections::{HashMap, HashSet};

/// Events proven lost: of each emitter what lies between its numbers, and up to how many it says it sent.
pub fn holes(events: &[&Event<'_>]) -> i64 {
    let mut emitters: Vec<(&[u8], HashSet<i64>, i128)> = Vec::new();
    for event in events {
        let emitter = event.text(EMITTER_ID);
        let at = emitters.iter().position(|(each, ..)| *each == emitter).unwrap_or_else(|| {
            emitters.push((emitter, HashSet::new(), 0));
            emitters.len() - 1
        });
        if let Some((_, numbers, sent)) = emitters.get_mut(at) {
            let seq = event.long(SEQ);
            numbers.insert(seq);
            let expected = event.maybe_long(EXPECTED_EVENTS).unwrap_or(0);
            *sent = (*sent).max(i128::from(seq) + 1).max(i128::from(expected));
        }
    }
    let lost = emitters.iter().map(|(_, numbers, sent)| (sent - numbers.len() as i128).min(MOST_LOST));
    i64::try_from(lost.sum::<i128>()).unwrap_or(i64::MAX)
}

/// How many events the emitters themselves say that they lost; one that stands for such says at least one.
pub fn told_lost(events: &[&Event<'_>]) -> i64 {
    let losses = events.iter().filter(|event| {
        event.maybe_text(STEP_NAME) == Some(LOSS_STEP)
            && event.maybe_text(ERROR_TYPE) == Some(LOSS_ERROR)
            && event.text(EVENT_TYPE) == TYPE_STEP_FINISHED
    });
    losses.map(|event| told(event)).sum()
}

fn told(loss: &Event<'_>) -> i64 {
    let labels = loss.labels();
    let said = labels.iter().filter(|(key, _)| *key == LOST_EVENTS).filter_map(|(_, value)| long_of(value));
    said.max().unwrap_or(1).max(1).min(MOST_LOST as i64)
}

/// A number in digits, perhaps with a sign.
fn long_of(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a partial run lacks: start; then each step that the end names more often than it was seen to finish, as
/// kind:name, and of a foreign trace each span that others name as their parent, as parent:id; then end.
pub fn missing(events: &[&Event<'_>], ends: &Ends<'_, '_>, overflow: bool) -> Vec<Vec<u8>> {
    let mut missing = Vec::new();
    if ends.start.is_none() {
        missing.push(b"start".to_vec());
    }
    if overflow {
        missing.push(CLOSEREASON_OVERFLOW.to_vec());
    } else {
        missing.extend(absent_steps(events, ends));
        missing.extend(absent_parents(events));
    }
    if ends.end.is_none() {
        missing.push(b"end".to_vec());
    }
    missing
}

fn absent_steps(events: &[&Event<'_>], ends: &Ends<'_, '_>) -> Vec<Vec<u8>> {
    let named = ends.end.map(|end| end.texts(EXPECTED_STEPS)).unwrap_or_default();
    if named.is_empty() {
        return Vec::new();
    }
    let finished = events.iter().filter(|event| event.text(EVENT_TYPE) == TYPE_STEP_FINISHED);
    let seen: Vec<Vec<u8>> =
        finished.map(|event| label(event.maybe_text(STEP_KIND), event.maybe_text(STEP_NAME))).collect();
    if named.len() == seen.len() && named.iter().zip(&seen).all(|(name, label)| *name == label.as_slice()) {
        return Vec::new();
    }
    let mut left: Vec<(&[u8], usize)> = Vec::new();
    let mut place: HashMap<&[u8], usize> = HashMap::new();
    for name in named {
        let at = *place.entry(name).or_insert(left.len());
        match left.get_mut(at) {
            Some((_, times)) => *times += 1,
            None => left.push((name, 1)),
        }
    }
    for label in &seen {
        if let Some((_, times)) = place.get(label.as_slice()).and_then(|at| left.get_mut(*at)) {
            *times = times.saturating_sub(1);
        }
    }
    left.into_iter().flat_map(|(name, times)| std::iter::repeat_n(name.to_vec(), times)).collect()
}

/// A span that was entered from elsewhere names a parent that is another's to tell.
fn absent_parents(events: &[&Event<'_>]) -> Vec<Vec<u8>> {
    let foreign: Vec<(&Event<'_>, &[u8])> = events
        .iter()
        .filter(|event| is_foreign(event))
        .filter_map(|event| event.maybe_text(PARENT_STEP_ID).map(|parent| (*event, parent)))
        .collect();
    if foreign.is_empty() {
        return Vec::new();
    }
    let mut seen: HashSet<&[u8]> = events.iter().filter_map(|event| event.maybe_text(STEP_ID)).collect();
    let entered = foreign.iter().filter(|(event, _)| event.text(EVENT_TYPE) == TYPE_RUN_STARTED);
    seen.extend(entered.map(|(_, parent)| *parent));
    let absent = foreign.iter().map(|(_, parent)| *parent).filter(|parent| seen.insert(parent));
    absent.map(|parent| [b"parent:", parent].concat()).collect()
}

/// Why a run was closed of which nobody says it: as what it is.
pub fn close_reason(ends: &Ends<'_, '_>, is_whole: bool) -> &'static [u8] {
    match ends.end {
        None => CLOSEREASON_IDLE,
        Some(_) if is_whole => CLOSEREASON_FINISHED,
        Some(_) => CLOSEREASON_GRACE,
    }
}

/// complete: nothing is missing or lost. unfinished: its end never came, and is not among events told to be lost.
pub fn verdict(ends: &Ends<'_, '_>, is_whole: bool, told: i64, overflow: bool) -> &'static [u8] {
    if is_whole && !overflow {
        VERDICT_COMPLETE
    } else if ends.end.is_some() || told > 0 || overflow {
        VERDICT_PARTIAL
    } else {
        VERDICT_UNFINISHED
    }
}
