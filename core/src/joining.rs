//! What Python calls to join events: messages in, parts in between, records of runs out.
//!
//! Nothing here says what is wrong. What is not known to be good is None, and Python goes another way.

use crate::avro::{NULL, SOME};
use crate::event::{Event, Kind};
use crate::guard::unless_it_panics;
use crate::part::{self, Place};
use crate::read;
use crate::run::record::{Closing, Joined, Judged, Stretch, join as joined};
use crate::schema::{FIELDS, KINDS};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// An array that is there and has nothing in it.
const NONE_OF_THEM: [u8; 2] = [SOME, NULL];
/// A framed value's bytes before its payload.
const FRAME_BYTES: usize = 5;

type Taken<'py> = (usize, Bound<'py, PyList>, Bound<'py, PyList>);
/// When it is closed, why, whether anew, by which policy, and where it stands in the log.
type Closed = (i64, Option<String>, bool, String, Option<Stretch>);
type Item<'py> = (Bound<'py, PyBytes>, Option<(i32, i64, u32)>);

/// Events of one run in order of arrival.
#[pyclass(frozen, module = "causeline_core")]
pub struct Part(part::Part);

#[pymethods]
impl Part {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Each event's bytes, and its place: partition, offset, which one of the message. None where they are damaged.
    fn items<'py>(&self, py: Python<'py>) -> Option<Vec<Item<'py>>> {
        let place = |place: Place| (place.partition, place.offset, place.item);
        let open = unless_it_panics(|| self.0.open())?;
        Some(open.items().map(|(item, at)| (PyBytes::new(py, item), at.map(place))).collect())
    }
}

/// The part that these items are, with their places; None where one is not sound.
#[pyfunction]
pub fn part_of(items: Vec<Item<'_>>) -> Option<Part> {
    let place = |(partition, offset, item): (i32, i64, u32)| Place { partition, offset, item };
    unless_it_panics(|| read::share_of(items.iter().map(|(item, at)| (item.as_bytes(), at.map(place))))).map(Part)
}

/// What stands in a framed value of the newest schema: how many events, the shares, and of each piece of evidence what
/// it says; None unless all of it keeps the contract.
#[pyfunction]
pub fn take<'py>(py: Python<'py>, value: &[u8], partition: i32, offset: i64) -> PyResult<Option<Taken<'py>>> {
    let Some(taken) = unless_it_panics(|| read::take(value.get(FRAME_BYTES..)?, partition, offset)) else {
        return Ok(None);
    };
    let shares = PyList::empty(py);
    for each in taken.shares {
        shares.append(share(py, each, partition, offset)?)?;
    }
    let checks = PyList::empty(py);
    for check in &taken.checks {
        if let Some(event) = Event::again(check) {
            checks.append(values(py, &event)?)?;
        }
    }
    Ok(Some((taken.events, shares, checks)))
}

/// A share as Python has it: the values of `causeline.streams.runs.core.Share`, in its order.
fn share<'py>(py: Python<'py>, share: read::Share, partition: i32, offset: i64) -> PyResult<Bound<'py, PyTuple>> {
    let [run_id, emitter_id, workflow] =
        [&share.run_id, &share.emitter_id, &share.workflow].map(|text| said(py, text).into_any());
    let count = |count: usize| count.into_pyobject(py).map(|count| count.into_any());
    let values = [
        partition.into_pyobject(py)?.into_any(),
        run_id,
        offset.into_pyobject(py)?.into_any(),
        emitter_id,
        workflow,
        share.seqs.into_pyobject(py)?,
        count(share.starts)?,
        count(share.ends)?,
        count(share.steps)?,
        count(share.afterthoughts)?,
        share.expected_events.into_pyobject(py)?,
        count(share.expected_steps)?,
        Bound::new(py, Part(share.events.packed()))?.into_any(),
    ];
    PyTuple::new(py, values)
}

/// The events of these parts as one; None where one is damaged.
#[pyfunction]
pub fn together(parts: Vec<PyRef<'_, Part>>) -> Option<Part> {
    unless_it_panics(|| part::together(parts.iter().map(|part| &part.0))).map(Part)
}

/// The events of one run by their ids, once some may have come again.
#[pyclass(module = "causeline_core")]
#[derive(Default)]
pub struct Known(part::Known);

#[pymethods]
impl Known {
    #[new]
    fn new() -> Self {
        Known::default()
    }

    /// Which events of `part` were not known: (them, how many of them end a step, how many came again, and say something
    /// else). They are known then. None where one is not sound.
    fn take(&mut self, part: &Part) -> Option<(Option<Part>, usize, usize, usize)> {
        let found = unless_it_panics(|| self.0.take(&part.0))?;
        let new = (!found.part.is_empty()).then_some(Part(found.part));
        Some((new, found.steps, found.duplicates, found.conflicting))
    }
}

/// A run: its record, and what is asked of it then. `judge` is asked of evidence, where there is any: of a list of
/// events it gives gap_kinds, gaps and conflict_sides, each as it is written. None where there is no such run.
#[pyfunction]
pub fn join<'py>(
    parts: Vec<PyRef<'py, Part>>,
    closed: Closed,
    judge: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let parts: Vec<&part::Part> = parts.iter().map(|part| &part.0).collect();
    let (closed_at, reason, amended, policy_hash, stretch) = &closed;
    let closing = Closing {
        closed_at: *closed_at,
        reason: reason.as_deref().map(str::as_bytes),
        amended: *amended,
        policy_hash: policy_hash.as_bytes(),
        stretch: *stretch,
    };
    let mut fault = None;
    let found = unless_it_panics(|| {
        joined(&parts, &closing, |checks| match judged(judge, checks) {
            Ok(judged) => Some(judged),
            Err(error) => {
                fault = Some(error);
                None
            }
        })
    });
    match (fault, found) {
        (Some(error), _) => Err(error),
        (None, None) => Ok(None),
        (None, Some(run)) => told(judge.py(), &run).map(Some),
    }
}

fn judged(judge: &Bound<'_, PyAny>, checks: &[&Event<'_>]) -> PyResult<Judged> {
    let none = || NONE_OF_THEM.to_vec();
    if checks.is_empty() {
        return Ok(Judged { gap_kinds: none(), gaps: none(), conflict_sides: none() });
    }
    let asked = PyList::empty(judge.py());
    for check in checks {
        asked.append(values(judge.py(), check)?)?;
    }
    let (gap_kinds, gaps, conflict_sides) = judge.call1((asked,))?.extract()?;
    Ok(Judged { gap_kinds, gaps, conflict_sides })
}

fn told<'py>(py: Python<'py>, run: &Joined) -> PyResult<Bound<'py, PyTuple>> {
    let maybe = |text: &Option<Vec<u8>>| text.as_deref().map(|text| said(py, text));
    let fallbacks: Vec<_> = run.fallbacks.iter().map(maybe).collect();
    (
        PyBytes::new(py, &run.item),
        said(py, &run.run_id),
        said(py, &run.workflow),
        said(py, run.verdict),
        run.revision,
        maybe(&run.final_state),
        maybe(&run.route),
        run.route_confidence,
        fallbacks,
        run.last_offset,
        run.duplicates,
        run.conflicting,
    )
        .into_pyobject(py)
}

/// What an event says, field by field, as Python has it.
fn values<'py>(py: Python<'py>, event: &Event<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let said: Vec<_> = (0..FIELDS).map(|field| value(py, event, field)).collect::<PyResult<_>>()?;
    PyTuple::new(py, said)
}

fn value<'py>(py: Python<'py>, event: &Event<'_>, field: usize) -> PyResult<Bound<'py, PyAny>> {
    Ok(match KINDS.get(field).copied().unwrap_or(Kind::Text) {
        Kind::Text => said(py, event.text(field)).into_any(),
        Kind::Long => event.long(field).into_pyobject(py)?.into_any(),
        Kind::MaybeText => event.maybe_text(field).map(|text| said(py, text)).into_pyobject(py)?,
        Kind::MaybeLong | Kind::MaybeInt => event.maybe_long(field).into_pyobject(py)?,
        Kind::MaybeDouble => event.maybe_double(field).into_pyobject(py)?,
        Kind::MaybeBoolean => event.maybe_boolean(field).into_pyobject(py)?,
        Kind::Texts => {
            let texts = event.texts(field).into_iter().map(|text| said(py, text));
            PyList::new(py, texts.collect::<Vec<_>>())?.into_any()
        }
        Kind::Labels => {
            let labels = PyList::empty(py);
            for (key, value) in event.labels() {
                let label = PyDict::new(py);
                label.set_item("key", said(py, key))?;
                label.set_item("value", said(py, value))?;
                labels.append(label)?;
            }
            labels.into_any()
        }
        Kind::Sides => {
            let sides = PyList::empty(py);
            for each in event.sides() {
                let side = PyDict::new(py);
                side.set_item("source_ref", said(py, each.source))?;
                side.set_item("value_ref", each.value.map(|text| said(py, text)))?;
                side.set_item("source_kind", each.kind.map(|text| said(py, text)))?;
                side.set_item("score", each.score)?;
                sides.append(side)?;
            }
            sides.into_any()
        }
    })
}

fn said<'py>(py: Python<'py>, text: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, std::str::from_utf8(text).unwrap_or_default())
}
