//! What a run decided, taken from its steps: route, prompt, model, what the model saw, and which validations stand.

use super::NOT_SAID;
use super::steps::Step;
use crate::event::Event;
use crate::schema::{
    EVIDENCE_REFS, KIND_VALIDATE, ON_THE_WAY, RAW_OUTPUT_REF, STATUS, STATUS_OK, STEP_KIND, VALIDATION_ERRORS,
};
use std::collections::HashSet;

/// `says`: who says any of these speaks. `ranks`: who is heard before whom; `well`: of the kinds with a rank, those
/// that ended well are heard before the others.
#[allow(missing_docs)]
pub struct Decision {
    pub says: &'static [usize],
    pub ranks: &'static [(&'static [u8], u8)],
    pub well: bool,
}

impl Decision {
    fn rank(&self, step: &Step<'_, '_>) -> (u8, bool) {
        let kind = step.text(STEP_KIND);
        let rank = self.ranks.iter().find(|(word, _)| Some(*word) == kind).map_or(0, |(_, rank)| *rank);
        (rank, self.well && rank > 0 && step.text(STATUS) == Some(STATUS_OK))
    }
}

/// Whose word stands.
pub enum Speaker<'s, 'e, 'a> {
    /// A step's.
    Step(&'s Step<'e, 'a>),
    /// An event's, where no step says anything.
    Event(&'e Event<'a>),
    /// Nobody's.
    Nobody,
}

impl<'a> Speaker<'_, '_, 'a> {
    /// A field that may be null, as it is written.
    pub fn raw(&self, field: usize) -> &'a [u8] {
        match self {
            Speaker::Step(step) => step.raw(field),
            Speaker::Event(event) => event.raw(field),
            Speaker::Nobody => NOT_SAID,
        }
    }

    /// A text, where it is said.
    pub fn text(&self, field: usize) -> Option<&'a [u8]> {
        match self {
            Speaker::Step(step) => step.text(field),
            Speaker::Event(event) => event.maybe_text(field),
            Speaker::Nobody => None,
        }
    }

    /// A number with a fraction, where it is said.
    pub fn double(&self, field: usize) -> Option<f64> {
        match self {
            Speaker::Step(step) => step.double(field),
            Speaker::Event(event) => event.maybe_double(field),
            Speaker::Nobody => None,
        }
    }

    /// The texts of a list.
    pub fn texts(&self, field: usize) -> Vec<&'a [u8]> {
        match self {
            Speaker::Step(step) => step.texts(field),
            Speaker::Event(event) => event.texts(field),
            Speaker::Nobody => Vec::new(),
        }
    }
}

/// Of the steps that speak the last of the highest rank, else the last event that does.
pub fn speaker<'s, 'e, 'a>(
    decision: &Decision,
    steps: &'s [Step<'e, 'a>],
    events: &[&'e Event<'a>],
) -> Speaker<'s, 'e, 'a> {
    let speaking = steps.iter().filter(|step| decision.says.iter().any(|field| step.says(*field)));
    if let Some(step) = speaking.max_by_key(|step| (decision.rank(step), step.ended_at())) {
        return Speaker::Step(step);
    }
    let event = events.iter().rfind(|event| decision.says.iter().any(|field| event.says(*field)));
    event.map_or(Speaker::Nobody, |event| Speaker::Event(event))
}

/// The first that any event says of a field that may be null, as it is written.
pub fn first<'a>(field: usize, events: &[&Event<'a>]) -> &'a [u8] {
    events.iter().find(|event| event.says(field)).map_or(NOT_SAID, |event| event.raw(field))
}

/// The last that any event says.
pub fn last<'a>(field: usize, events: &[&Event<'a>]) -> &'a [u8] {
    events.iter().rfind(|event| event.says(field)).map_or(NOT_SAID, |event| event.raw(field))
}

/// What came out: the last that is said of an output, by no step on the way to it.
pub fn raw_output_ref<'a>(events: &[&Event<'a>]) -> &'a [u8] {
    let is_on_the_way = |event: &Event<'_>| event.maybe_text(STEP_KIND).is_some_and(|kind| ON_THE_WAY.contains(&kind));
    let says = events.iter().rfind(|event| event.says(RAW_OUTPUT_REF) && !is_on_the_way(event));
    says.map_or(NOT_SAID, |event| event.raw(RAW_OUTPUT_REF))
}

/// Supporting references: every one that any event names, each once, in the order of their naming.
pub fn evidence_refs<'a>(events: &[&Event<'a>]) -> Vec<&'a [u8]> {
    distinct(events.iter().filter(|event| event.says(EVIDENCE_REFS)).flat_map(|event| event.texts(EVIDENCE_REFS)))
}

/// Codes and JSON paths that stand: of each validating step, by kind:name, what it said when it last ended.
pub fn validation_errors<'a>(steps: &[Step<'_, 'a>]) -> Vec<&'a [u8]> {
    let mut validating: Vec<&Step<'_, '_>> =
        steps.iter().filter(|step| step.is(KIND_VALIDATE) || step.says(VALIDATION_ERRORS)).collect();
    validating.sort_by_key(|step| step.ended_at());
    let mut stand: Vec<(Vec<u8>, Vec<&[u8]>)> = Vec::new();
    for step in validating {
        let (label, errors) = (step.label(), step.texts(VALIDATION_ERRORS));
        match stand.iter_mut().find(|(each, _)| *each == label) {
            Some((_, said)) => *said = errors,
            None => stand.push((label, errors)),
        }
    }
    distinct(stand.into_iter().flat_map(|(_, errors)| errors))
}

/// Each once, in order.
pub fn distinct<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(*text)).collect()
}
