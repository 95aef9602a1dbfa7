//! What else a run holds: evidence, reviews, evals, evaluations; each in order of its events. What a policy makes of
//! evidence is Python's to say.

use super::ends::of_type;
use crate::avro::{put_array, put_bytes, put_maybe_long, put_maybe_text};
use crate::event::{Event, Kind};
use crate::schema::{
    EVAL_CASE_ID, EVAL_OUTCOME, EVALUATION_LABEL, EVALUATION_NAME, EVALUATION_SCALE, EVALUATION_SCORE, EVALUATOR,
    EVIDENCE_RECORD, EXPLANATION_REF, FIELD_PATH, KINDS, OCCURRED_AT, OVERRIDE_REF, REVIEW_NOTE_REF, REVIEW_OUTCOME,
    REVIEWER_REF, STEP_ID, TYPE_EVAL_RECORDED, TYPE_EVALUATION_RECORDED, TYPE_REVIEW_RECORDED,
};

/// The reviews: what is told of each after its id, before its moment.
const REVIEW: &[usize] = &[REVIEW_OUTCOME, FIELD_PATH, REVIEWER_REF, OVERRIDE_REF, REVIEW_NOTE_REF];
const EVAL: &[usize] = &[EVAL_CASE_ID, EVAL_OUTCOME];
const EVALUATION: &[usize] =
    &[STEP_ID, EVALUATION_NAME, EVALUATION_SCORE, EVALUATION_SCALE, EVALUATION_LABEL, EVALUATOR, EXPLANATION_REF];

/// A list of texts as a run's record has it: any of them could be null.
pub fn put_texts<'a>(out: &mut Vec<u8>, texts: impl ExactSizeIterator<Item = &'a [u8]>) {
    put_array(out, texts, put_bytes);
}

/// A field of an event as a run's record has it: there every one may be null.
pub fn put_field(out: &mut Vec<u8>, event: &Event<'_>, field: usize) {
    match KINDS.get(field) {
        Some(Kind::Text) => put_maybe_text(out, Some(event.text(field))),
        Some(Kind::Long) => put_maybe_long(out, Some(event.long(field))),
        Some(Kind::Texts) => put_texts(out, event.texts(field).into_iter()),
        _ => out.extend_from_slice(event.raw(field)),
    }
}

/// The fields checked.
pub fn put_evidence(out: &mut Vec<u8>, checks: &[&Event<'_>]) {
    put_array(out, checks.iter(), |out, event| {
        for field in EVIDENCE_RECORD {
            put_field(out, event, *field);
        }
    });
}

/// The reviews.
pub fn put_reviews(out: &mut Vec<u8>, events: &[&Event<'_>]) {
    put_told(out, &of_type(events, TYPE_REVIEW_RECORDED), REVIEW);
}

/// The eval results.
pub fn put_evals(out: &mut Vec<u8>, events: &[&Event<'_>]) {
    put_told(out, &of_type(events, TYPE_EVAL_RECORDED), EVAL);
}

/// What evaluators said of the run and its steps.
pub fn put_evaluations(out: &mut Vec<u8>, events: &[&Event<'_>]) {
    put_told(out, &of_type(events, TYPE_EVALUATION_RECORDED), EVALUATION);
}

fn put_told(out: &mut Vec<u8>, events: &[&Event<'_>], fields: &[usize]) {
    put_array(out, events.iter(), |out, event| {
        put_maybe_text(out, Some(event.id()));
        for field in fields {
            put_field(out, event, *field);
        }
        put_maybe_long(out, Some(event.long(OCCURRED_AT)));
    });
}
