//! The steps of a run: what was said of each at its start and its end, joined.

use super::NOT_SAID;
use super::events::is_foreign;
use crate::event::{Event, Kind};
use crate::schema::{
    EVENT_TYPE, INPUT_TOKENS, KIND_MODEL_CALL, KINDS, LABELS, OCCURRED_AT, OUTPUT_TOKENS, PARENT_STEP_ID, SEQ,
    STARTED_AT, STATUS, STATUS_ERROR, STEP_ID, STEP_KIND, STEP_NAME, STEP_RECORD, TYPE_STEP_FINISHED,
    TYPE_STEP_STARTED,
};
use std::collections::{HashMap, HashSet};

/// An error as a nullable text is written.
const ERROR: &[u8] = b"\x02\x0aerror";
/// By so much a span that lasts outweighs one that does not.
const LASTS: usize = 1000;

/// One step; `told` are its events by weight, of which the last that says a field is believed.
#[allow(missing_docs)]
pub struct Step<'e, 'a> {
    told: Vec<&'e Event<'a>>,
    pub id: &'a [u8],
    /// The enclosing step; one that names itself has none.
    pub parent: Option<&'a [u8]>,
    pub started_at: i64,
    /// None where only its start was seen.
    pub finished_at: Option<i64>,
    pub is_doubled: bool,
    seq: i64,
    is_error: bool,
}

impl<'e, 'a> Step<'e, 'a> {
    fn of(mut told: Vec<&'e Event<'a>>, id: &'a [u8]) -> Self {
        told.sort_by_key(|event| weight(event));
        let is_error = told.len() > 1
            && told.iter().any(|event| is_foreign(event) && event.maybe_text(STATUS) == Some(STATUS_ERROR));
        let finished = told.last().filter(|event| event.text(EVENT_TYPE) == TYPE_STEP_FINISHED);
        let mut step = Step {
            id,
            parent: None,
            started_at: told.iter().map(|event| event.maybe_long(STARTED_AT).unwrap_or(0)).min().unwrap_or(0),
            finished_at: finished.map(|event| event.long(OCCURRED_AT)),
            is_doubled: false,
            seq: told.iter().map(|event| event.long(SEQ)).min().unwrap_or(0),
            is_error,
            told,
        };
        step.parent = step.text(PARENT_STEP_ID).filter(|parent| *parent != id);
        step
    }

    fn teller(&self, field: usize) -> Option<&'e Event<'a>> {
        self.told.iter().copied().rfind(|event| event.says(field))
    }

    /// Whether anything is said of a field; an empty list says nothing.
    pub fn says(&self, field: usize) -> bool {
        self.teller(field).is_some()
    }

    /// A field that may be null, as it is written.
    pub fn raw(&self, field: usize) -> &'a [u8] {
        if field == STATUS && self.is_error {
            return ERROR;
        }
        self.teller(field).map_or(NOT_SAID, |event| event.raw(field))
    }

    /// A text, where it is said.
    pub fn text(&self, field: usize) -> Option<&'a [u8]> {
        if field == STATUS && self.is_error {
            return Some(STATUS_ERROR);
        }
        self.teller(field).and_then(|event| event.maybe_text(field))
    }

    /// A number, where it is said.
    pub fn long(&self, field: usize) -> Option<i64> {
        self.teller(field).and_then(|event| event.maybe_long(field))
    }

    /// A number with a fraction, where it is said.
    pub fn double(&self, field: usize) -> Option<f64> {
        self.teller(field).and_then(|event| event.maybe_double(field))
    }

    /// The texts of a list.
    pub fn texts(&self, field: usize) -> Vec<&'a [u8]> {
        self.teller(field).map(|event| event.texts(field)).unwrap_or_default()
    }

    /// Its labels.
    pub fn labels(&self) -> Vec<(&'a [u8], &'a [u8])> {
        self.teller(LABELS).map(|event| event.labels()).unwrap_or_default()
    }

    /// kind:name.
    pub fn label(&self) -> Vec<u8> {
        label(self.text(STEP_KIND), self.text(STEP_NAME))
    }

    /// When it spoke: at its end, else at its start.
    pub fn ended_at(&self) -> i64 {
        self.finished_at.unwrap_or(self.started_at)
    }

    /// Never below zero: clocks may disagree.
    pub fn duration_us(&self) -> Option<i64> {
        self.finished_at.map(|finished| finished.saturating_sub(self.started_at).max(0))
    }

    /// Whether it ended in error.
    pub fn failed(&self) -> bool {
        self.text(STATUS) == Some(STATUS_ERROR)
    }

    /// Whether it is of a kind.
    pub fn is(&self, kind: &[u8]) -> bool {
        self.text(STEP_KIND) == Some(kind)
    }
}

/// kind:name.
pub fn label(kind: Option<&[u8]>, name: Option<&[u8]>) -> Vec<u8> {
    [kind.unwrap_or_default(), name.unwrap_or_default()].join(&b':')
}

/// The steps by start, then by the lowest number, then by id; `events` in canonical order.
pub fn steps_of<'e, 'a>(events: &[&'e Event<'a>]) -> Vec<Step<'e, 'a>> {
    let mut told: Vec<(&[u8], Vec<&Event<'_>>)> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    let mut some_foreign = false;
    for event in events.iter().copied() {
        let kind = event.text(EVENT_TYPE);
        if kind != TYPE_STEP_FINISHED && kind != TYPE_STEP_STARTED {
            continue;
        }
        let Some(id) = event.maybe_text(STEP_ID) else { continue };
        some_foreign |= is_foreign(event);
        let place = *known.entry(id).or_insert(told.len());
        match told.get_mut(place) {
            Some((_, mine)) => mine.push(event),
            None => told.push((id, vec![event])),
        }
    }
    let mut steps: Vec<Step<'_, '_>> = told.into_iter().map(|(id, mine)| Step::of(mine, id)).collect();
    steps.sort_by(|a, b| (a.started_at, a.seq, a.id).cmp(&(b.started_at, b.seq, b.id)));
    if some_foreign {
        let doubled = doubled(&steps);
        for step in &mut steps {
            step.is_doubled = doubled.contains(step.id);
        }
    }
    steps
}

/// An end outweighs a start, whatever the clocks say. Of foreign spans of one id the fuller outweighs, and a span a log
/// record, which lasts no time; those that are numbered stand in order.
fn weight(event: &Event<'_>) -> (bool, usize) {
    let mut fullness = 0;
    if is_foreign(event) {
        let lasts = event.maybe_long(STARTED_AT).is_some_and(|started| event.long(OCCURRED_AT) > started);
        fullness = if lasts { LASTS } else { 0 };
        // A list is always there: it weighs nothing.
        let nullable =
            |field: &usize| KINDS.get(*field).is_some_and(|kind| !matches!(kind, Kind::Texts | Kind::Labels));
        fullness += STEP_RECORD
            .iter()
            .flatten()
            .filter(|field| **field != STEP_ID && nullable(field) && event.says(**field))
            .count();
    }
    (event.text(EVENT_TYPE) == TYPE_STEP_FINISHED, fullness)
}

/// The model calls that another one of the same tokens lies within: two instrumentations told the same call.
fn doubled<'a>(steps: &[Step<'_, 'a>]) -> HashSet<&'a [u8]> {
    let calls: HashMap<&[u8], &Step<'_, '_>> =
        steps.iter().filter(|step| step.is(KIND_MODEL_CALL)).map(|step| (step.id, step)).collect();
    let outer = calls.values().filter_map(|inner| {
        let outer = calls.get(inner.parent?)?;
        cost_the_same(outer, inner).then_some(outer.id)
    });
    outer.collect()
}

fn cost_the_same(one: &Step<'_, '_>, other: &Step<'_, '_>) -> bool {
    [INPUT_TOKENS, OUTPUT_TOKENS]
        .iter()
        .all(|field| other.long(*field).is_some() && one.long(*field) == other.long(*field))
}

/// kind:name of the longest step that no other names as its parent, the first where two are equal.
pub fn slowest_step(steps: &[Step<'_, '_>]) -> Option<Vec<u8>> {
    let enclosing: HashSet<&[u8]> = steps.iter().filter_map(|step| step.parent).collect();
    let mut slowest: Option<(i64, &Step<'_, '_>)> = None;
    for step in steps.iter().filter(|step| !enclosing.contains(step.id)) {
        if let Some(duration) = step.duration_us()
            && slowest.is_none_or(|(longest, _)| duration > longest)
        {
            slowest = Some((duration, step));
        }
    }
    slowest.map(|(_, step)| step.label())
}
