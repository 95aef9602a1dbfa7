//! A run's fallbacks: those that the workflow says, and those that follow from what it did, marked as inferred.
//!
//! A workflow that says its fallbacks is believed: where a run says that it tried again in any way, no such way is
//! inferred for it, and where it says that it gave less than was asked, neither is that.

use super::ends::of_type;
use super::steps::Step;
use crate::avro::{SOME, put_maybe_long, put_maybe_text};
use crate::event::Event;
use crate::schema::{
    CONTEXT_REFS, FALLBACK_NARROWER_SCOPE, FALLBACK_OTHER_MODEL, FALLBACK_PARTIAL_ANSWER, FALLBACK_REASON,
    FALLBACK_RETRY, FALLBACK_TAKEN, FINALSTATE_PARTIAL, GAVE_LESS, KIND_MODEL_CALL, KIND_PROMPT, MODEL_NAME,
    OCCURRED_AT, RETRY_COUNT, STEP_ID, STEP_KIND, TRIED_AGAIN, TYPE_FALLBACK_TAKEN,
};
use std::collections::{HashMap, HashSet};

/// A fallback: `event_id` None where it is inferred.
pub struct Fallback<'a> {
    event_id: Option<&'a [u8]>,
    step_id: Option<&'a [u8]>,
    /// In which way.
    pub kind: Option<&'a [u8]>,
    reason: Option<Vec<u8>>,
    occurred_at: i64,
}

impl Fallback<'_> {
    /// As an item of a run's `fallbacks`.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_maybe_text(out, self.event_id);
        put_maybe_text(out, self.step_id);
        put_maybe_text(out, self.kind);
        put_maybe_text(out, self.reason.as_deref());
        out.extend_from_slice(&[SOME, u8::from(self.event_id.is_none())]);
        put_maybe_long(out, Some(self.occurred_at));
    }
}

/// The fallbacks taken: those that are said, then those inferred of steps, then the one of how the run ended.
pub fn fallbacks<'a>(
    events: &[&Event<'a>],
    steps: &[Step<'_, 'a>],
    final_state: Option<&[u8]>,
    finished_at: i64,
) -> Vec<Fallback<'a>> {
    let mut found: Vec<Fallback<'_>> = of_type(events, TYPE_FALLBACK_TAKEN).into_iter().map(said).collect();
    let says_any_of = |words: &[&[u8]]| found.iter().any(|each| each.kind.is_some_and(|kind| words.contains(&kind)));
    let (tries_again, gives_less) = (says_any_of(TRIED_AGAIN), says_any_of(GAVE_LESS));
    if !tries_again {
        tried_again(steps, &mut found);
    }
    if !gives_less && final_state == Some(FINALSTATE_PARTIAL) {
        let reason = b"the run's final state is partial".to_vec();
        found.push(inferred(FALLBACK_PARTIAL_ANSWER, reason, None, finished_at));
    }
    found
}

fn said<'a>(event: &Event<'a>) -> Fallback<'a> {
    Fallback {
        event_id: Some(event.id()),
        step_id: event.maybe_text(STEP_ID),
        kind: event.maybe_text(FALLBACK_TAKEN),
        reason: event.maybe_text(FALLBACK_REASON).map(<[u8]>::to_vec),
        occurred_at: event.long(OCCURRED_AT),
    }
}

fn inferred<'a>(kind: &'static [u8], reason: Vec<u8>, step_id: Option<&'a [u8]>, occurred_at: i64) -> Fallback<'a> {
    Fallback { event_id: None, step_id, kind: Some(kind), reason: Some(reason), occurred_at }
}

/// Steps that came again: narrower, of another model, or else the same once more.
fn tried_again<'a>(steps: &[Step<'_, 'a>], found: &mut Vec<Fallback<'a>>) {
    let seeing = seeing_kind(steps);
    let mut same: HashMap<Vec<u8>, &Step<'_, '_>> = HashMap::new();
    let mut seen: HashMap<Vec<u8>, &Step<'_, '_>> = HashMap::new();
    let mut call: Option<&Step<'_, '_>> = None;
    for step in steps {
        let label = step.label();
        let mut tell = |kind: &'static [u8], reason: Vec<u8>| {
            found.push(inferred(kind, reason, Some(step.id), step.started_at));
        };
        let is_narrower = step.is(seeing) && narrower(step, seen.get(&label).copied());
        let is_another = other_model(step, call);
        if is_narrower {
            tell(FALLBACK_NARROWER_SCOPE, [label.as_slice(), b" had more context before"].concat());
        }
        if is_another {
            tell(FALLBACK_OTHER_MODEL, [b"another model failed before ", label.as_slice()].concat());
        }
        if !is_narrower && !is_another {
            if same.get(&label).is_some_and(|before| before.failed()) {
                tell(FALLBACK_RETRY, [label.as_slice(), b" failed before"].concat());
            } else if step.long(RETRY_COUNT).unwrap_or(0) > 0 {
                tell(FALLBACK_RETRY, [label.as_slice(), b" counts attempts before it"].concat());
            }
        }
        if step.says(CONTEXT_REFS) {
            seen.insert(label.clone(), step);
        }
        same.insert(label, step);
        if step.is(KIND_MODEL_CALL) {
            call = Some(step);
        }
    }
}

/// Which steps say what the model saw: calls, or prompts where no call says it.
fn seeing_kind(steps: &[Step<'_, '_>]) -> &'static [u8] {
    let some_call = steps.iter().any(|step| step.is(KIND_MODEL_CALL) && step.says(CONTEXT_REFS));
    if some_call { KIND_MODEL_CALL } else { KIND_PROMPT }
}

/// With a true part of the context that it had the time before.
fn narrower(step: &Step<'_, '_>, before: Option<&Step<'_, '_>>) -> bool {
    let now: HashSet<&[u8]> = step.texts(CONTEXT_REFS).into_iter().collect();
    before.is_some_and(|before| {
        let then: HashSet<&[u8]> = before.texts(CONTEXT_REFS).into_iter().collect();
        !now.is_empty() && now.len() < then.len() && now.is_subset(&then)
    })
}

/// A model call right after one of another model that ended in error.
fn other_model(step: &Step<'_, '_>, before: Option<&Step<'_, '_>>) -> bool {
    let Some(before) = before else { return false };
    if !before.failed() || step.text(STEP_KIND) != Some(KIND_MODEL_CALL) {
        return false;
    }
    match (before.text(MODEL_NAME), step.text(MODEL_NAME)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}
