//! A run from its events: `causeline.streams.definition.run`, and its record as bytes, field by field in the order of
//! the schema.

use super::anchors::missing_anchors;
use super::completeness::{close_reason, holes, missing, told_lost, verdict};
use super::decisions::{Speaker, evidence_refs, first, last, raw_output_ref, speaker, validation_errors};
use super::ends::{Ends, ends_of, finished_at, live, of_type, started_at};
use super::events::{Arrival, canonical, each_once, owned, workflow};
use super::fallbacks::{Fallback, fallbacks};
use super::findings::{put_evals, put_evaluations, put_evidence, put_reviews, put_texts};
use super::labels::{clock_skew_s, labels};
use super::measures::{costliest_step, counted, total, usd};
use super::steps::{Step, slowest_step, steps_of};
use crate::avro::{SOME, put_array, put_maybe_double, put_maybe_long, put_maybe_text};
use crate::event::{Event, Kind};
use crate::part::Part;
use crate::schema::*;

/// What is told of a run when it is closed.
#[allow(missing_docs)]
pub struct Closing<'c> {
    pub closed_at: i64,
    /// None: it is closed as what it is.
    pub reason: Option<&'c [u8]>,
    pub amended: bool,
    pub policy_hash: &'c [u8],
    /// Where it stands in the log, for one whose events do not know it.
    pub stretch: Option<Stretch>,
}

/// Partition, first offset, last offset.
pub type Stretch = (Option<i64>, Option<i64>, Option<i64>);

/// What a policy makes of a run's evidence: three arrays of its record, as they are written.
#[allow(missing_docs)]
pub struct Judged {
    pub gap_kinds: Vec<u8>,
    pub gaps: Vec<u8>,
    pub conflict_sides: Vec<u8>,
}

/// A run's record, and what is asked of it once it is written.
#[allow(missing_docs)]
pub struct Joined {
    pub item: Vec<u8>,
    pub run_id: Vec<u8>,
    pub workflow: Vec<u8>,
    pub verdict: &'static [u8],
    pub revision: usize,
    pub final_state: Option<Vec<u8>>,
    pub route: Option<Vec<u8>>,
    pub route_confidence: Option<f64>,
    pub fallbacks: Vec<Option<Vec<u8>>>,
    pub last_offset: Option<i64>,
    pub duplicates: usize,
    pub conflicting: usize,
}

/// The run of the events of `parts`; `judge` is asked of its evidence. None where a part is not sound, has no event, or
/// the judge gives none.
pub fn join(
    parts: &[&Part],
    closing: &Closing<'_>,
    judge: impl FnOnce(&[&Event<'_>]) -> Option<Judged>,
) -> Option<Joined> {
    let open = parts.iter().map(|part| part.open()).collect::<Option<Vec<_>>>()?;
    let mut arrivals = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for (item, place) in open.iter().flat_map(|part| part.items()) {
        arrivals.push(Arrival { event: Event::again(item)?, place });
    }
    // Which events: each once, in canonical order, of its own project and workflow.
    let mut once = each_once(arrivals);
    canonical(&mut once.arrivals);
    let arrived = &once.arrivals;
    let own = owned(arrived)?;
    let events = own.events.as_slice();
    let run_id = events.first()?.text(RUN_ID);
    let places = || arrived.iter().filter_map(|arrival| arrival.place);
    let (partition, first_offset, last_offset) = closing.stretch.unwrap_or_else(|| {
        let offsets = || places().map(|place| place.offset);
        (places().next().map(|place| i64::from(place.partition)), offsets().min(), offsets().max())
    });

    // How it began and ended, and what its steps said.
    let ends = ends_of(events);
    let moments = live(events);
    let (began, ended) = (started_at(events, &ends), finished_at(events, &ends, &moments));
    let steps = steps_of(events);
    let failed: Vec<&Step<'_, '_>> = steps.iter().filter(|step| step.failed()).collect();

    // What is lacking.
    let overflow = closing.reason == Some(CLOSEREASON_OVERFLOW);
    let missing = missing(events, &ends, overflow);
    let told_lost = told_lost(events);
    let lost = holes(events).max(told_lost);
    let is_whole = missing.is_empty() && lost == 0;
    let verdict = verdict(&ends, is_whole, told_lost, overflow);

    // What was decided, measured and found.
    let [route, prompt, model, context] =
        [&ROUTED, &PROMPTED, &MODELLED, &SHOWN].map(|decision| speaker(decision, &steps, events));
    let costs = counted(&steps, |step| step.double(COST_USD));
    let sum = |field: usize| total(&counted(&steps, |step| step.long(field)));
    let checks = of_type(events, TYPE_EVIDENCE_CHECKED);
    let judged = judge(&checks)?;
    let skew_s = clock_skew_s(&moments, began, ended);
    let workflow = workflow(events);
    let taken = fallbacks(events, &steps, ends.final_state, ended);

    let mut item = Vec::with_capacity(1024 + 256 * events.len());
    let out = &mut item;
    put_maybe_text(out, Some(run_id));
    put_maybe_text(out, Some(own.project));
    put_maybe_text(out, Some(workflow));
    put_count(out, arrived.len());
    put_maybe_text(out, Some(verdict));
    put_maybe_text(out, Some(closing.reason.unwrap_or_else(|| close_reason(&ends, is_whole))));
    put_texts(out, missing.iter().map(Vec::as_slice));
    put_count(out, events.len());
    put_maybe_long(out, Some(lost));
    out.extend_from_slice(&[SOME, u8::from(closing.amended)]);
    for moment in [began, ended, (ended - began).max(0), closing.closed_at] {
        put_maybe_long(out, Some(moment));
    }
    put_maybe_text(out, ends.final_state);
    put_maybe_text(out, Some(status(&failed, &ends)));
    put_maybe_text(out, error_type(&failed, &ends));
    put_maybe_text(out, failed.first().map(|step| step.label()).as_deref());
    put_said(out, &route, &[ROUTE, ROUTE_REASON, ROUTE_CONFIDENCE, ROUTE_POLICY_VERSION]);
    put_said(out, &prompt, &[PROMPT_ID, PROMPT_VERSION]);
    put_said(out, &model, &[MODEL_PROVIDER, MODEL_NAME]);
    out.extend_from_slice(last(MODEL_POLICY, events));
    put_said(out, &model, &[TEMPERATURE, TOP_P, SEED, SYSTEM_FINGERPRINT]);
    for field in [CONFIDENCE, REFUSAL, PARSER_VERSION, SCHEMA_VERSION] {
        out.extend_from_slice(last(field, events));
    }
    out.extend_from_slice(first(INPUT_REF, events));
    out.extend_from_slice(last(PARSED_ARTIFACT_REF, events));
    put_texts(out, context.texts(CONTEXT_REFS).into_iter());
    out.extend_from_slice(raw_output_ref(events));
    put_texts(out, evidence_refs(events).into_iter());
    put_texts(out, validation_errors(&steps).into_iter());
    put_last(out, events, TYPE_FALLBACK_TAKEN, &[FALLBACK_TAKEN, FALLBACK_REASON]);
    put_last(out, events, TYPE_REVIEW_RECORDED, &[REVIEW_OUTCOME, REVIEWER_REF, OVERRIDE_REF, REVIEW_NOTE_REF]);
    put_last(out, events, TYPE_EVAL_RECORDED, &[EVAL_CASE_ID, EVAL_OUTCOME]);
    put_maybe_long(out, sum(RETRY_COUNT));
    put_maybe_double(out, usd(&costs));
    put_maybe_long(out, sum(INPUT_TOKENS));
    put_maybe_long(out, sum(OUTPUT_TOKENS));
    put_maybe_text(out, slowest_step(&steps).as_deref());
    put_maybe_text(out, costliest_step(&costs).as_deref());
    put_texts(out, missing_anchors(&steps).into_iter());
    out.extend_from_slice(&judged.gap_kinds);
    put_maybe_text(out, Some(closing.policy_hash));
    put_labels(out, labels(events, &ends, skew_s, own.set_aside).iter().map(|(key, value)| (*key, value.as_slice())));
    put_array(out, steps.iter(), put_step);
    put_evidence(out, &checks);
    out.extend_from_slice(&judged.gaps);
    put_array(out, taken.iter(), |out, fallback: &Fallback<'_>| fallback.put(out));
    put_reviews(out, events);
    put_evals(out, events);
    for place in [partition, first_offset, last_offset] {
        put_maybe_long(out, place);
    }
    put_maybe_text(out, Some(ASSEMBLER_VERSION));
    out.extend_from_slice(&judged.conflict_sides);
    out.extend_from_slice(first(SESSION_ID, events));
    out.extend_from_slice(first(USER_HASH, events));
    put_evaluations(out, events);

    Some(Joined {
        run_id: run_id.to_vec(),
        workflow: workflow.to_vec(),
        verdict,
        revision: arrived.len(),
        final_state: ends.final_state.map(<[u8]>::to_vec),
        route: route.text(ROUTE).map(<[u8]>::to_vec),
        route_confidence: route.double(ROUTE_CONFIDENCE),
        fallbacks: taken.iter().map(|fallback| fallback.kind.map(<[u8]>::to_vec)).collect(),
        last_offset,
        duplicates: once.duplicates,
        conflicting: once.conflicting,
        item,
    })
}

fn status(failed: &[&Step<'_, '_>], ends: &Ends<'_, '_>) -> &'static [u8] {
    let ended_in_error = ends.end.is_some_and(|end| end.maybe_text(STATUS) == Some(STATUS_ERROR));
    if failed.is_empty() && !ended_in_error { STATUS_OK } else { STATUS_ERROR }
}

fn error_type<'a>(failed: &[&Step<'_, 'a>], ends: &Ends<'_, 'a>) -> Option<&'a [u8]> {
    let of_end = || ends.end.and_then(|end| end.maybe_text(ERROR_TYPE));
    failed.iter().find_map(|step| step.text(ERROR_TYPE)).or_else(of_end)
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    put_maybe_long(out, i64::try_from(count).ok());
}

fn put_said(out: &mut Vec<u8>, speaker: &Speaker<'_, '_, '_>, fields: &[usize]) {
    for field in fields {
        out.extend_from_slice(speaker.raw(*field));
    }
}

/// What the last event of a type says.
fn put_last(out: &mut Vec<u8>, events: &[&Event<'_>], kind: &[u8], fields: &[usize]) {
    let last = events.iter().rfind(|event| event.text(EVENT_TYPE) == kind);
    for field in fields {
        out.extend_from_slice(last.map_or(super::NOT_SAID, |event| event.raw(*field)));
    }
}

fn put_labels<'a>(out: &mut Vec<u8>, labels: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) {
    put_array(out, labels, |out, (key, value)| {
        put_maybe_text(out, Some(key));
        put_maybe_text(out, Some(value));
    });
}

/// A step as a run's record has it.
fn put_step(out: &mut Vec<u8>, step: &Step<'_, '_>) {
    let mut found = [Some(step.started_at), step.finished_at, step.duration_us()].into_iter();
    for field in STEP_RECORD {
        match field {
            None => put_maybe_long(out, found.next().flatten()),
            Some(LABELS) => {
                let mut labels = step.labels();
                if step.is_doubled {
                    labels.push((DOUBLED, b"true"));
                }
                put_labels(out, labels.into_iter());
            }
            Some(field) if KINDS.get(*field) == Some(&Kind::Texts) => put_texts(out, step.texts(*field).into_iter()),
            Some(field) => out.extend_from_slice(step.raw(*field)),
        }
    }
}
