//! Labels of a run: those of its start and end, and what the joiner found of it.
//!
//! What the joiner finds nobody outside can say in its place.

use super::ends::Ends;
use crate::event::Event;
use crate::schema::{
    CLAIMED, CLAIMS_LABEL, EVENT_TYPE, FOREIGN_LABEL, LABELS, ROOTS_LABEL, SCOPE_LABEL, SKEW_FROM_S, SKEW_LABEL,
    TYPE_RUN_FINISHED, TYPE_RUN_STARTED, UNKNOWN_SCOPE,
};
use std::collections::BTreeMap;

const MICROSECONDS: i64 = 1_000_000;

/// By key, each once. `set_aside` is how many events of another's name there were.
pub fn labels<'a>(
    events: &[&Event<'a>],
    ends: &Ends<'_, '_>,
    skew_s: i64,
    set_aside: usize,
) -> BTreeMap<&'a [u8], Vec<u8>> {
    let mut told: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
    for kind in [TYPE_RUN_STARTED, TYPE_RUN_FINISHED] {
        for event in events.iter().filter(|event| event.text(EVENT_TYPE) == kind && event.says(LABELS)) {
            told.extend(event.labels().into_iter().map(|(key, value)| (key, value.to_vec())));
        }
    }
    let claims = events.iter().filter(|event| CLAIMED.contains(&event.text(EVENT_TYPE))).count();
    let number = |value: usize, from: usize| (value >= from).then(|| value.to_string().into_bytes());
    let found = [
        (SKEW_LABEL, (skew_s.abs() >= SKEW_FROM_S).then(|| skew_s.to_string().into_bytes())),
        (SCOPE_LABEL, ends.is_orphaned.then(|| UNKNOWN_SCOPE.to_vec())),
        (ROOTS_LABEL, number(ends.roots, 2)),
        (CLAIMS_LABEL, number(claims, 1)),
        (FOREIGN_LABEL, number(set_aside, 1)),
    ];
    told.extend(found.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))));
    told
}

/// By how many whole seconds an event lies after the run's end, or before its start (then below zero); the greater.
pub fn clock_skew_s(moments: &[i64], started_at: i64, finished_at: i64) -> i64 {
    let earliest = moments.iter().copied().min().unwrap_or(started_at);
    let latest = moments.iter().copied().max().unwrap_or(finished_at);
    let (behind, ahead) = ((started_at - earliest).max(0), latest - finished_at);
    if behind > ahead { -(behind / MICROSECONDS) } else { ahead / MICROSECONDS }
}
