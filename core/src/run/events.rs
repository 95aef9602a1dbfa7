//! Which events a run is made of, and in which order: each once, those of its own project and workflow, by time.

use crate::event::{Event, say_the_same};
use crate::part::Place;
use crate::schema::{
    EMITTER_ID, EVENT_TYPE, OCCURRED_AT, PROJECT, RUN_STARTED_AT, SEQ, SOURCES, TYPE_EVALUATION_RECORDED, UNNUMBERED,
    WORKFLOW, WORKFLOW_SOURCE,
};
use std::collections::HashMap;

/// An event, and where it stood; events that come from the store stand nowhere.
#[allow(missing_docs)]
pub struct Arrival<'a> {
    pub event: Event<'a>,
    pub place: Option<Place>,
}

/// Events of which none comes twice, and how many came again; `conflicting` of those say something else.
#[allow(missing_docs)]
pub struct Once<'a> {
    pub arrivals: Vec<Arrival<'a>>,
    pub duplicates: usize,
    pub conflicting: usize,
}

/// An event that comes again, by its id, is the same event: the first to arrive is kept.
pub fn each_once(mut arrivals: Vec<Arrival<'_>>) -> Once<'_> {
    if !arrivals.is_sorted_by_key(|arrival| arrival.place) {
        arrivals.sort_by_key(|arrival| arrival.place);
    }
    let mut once = Once { arrivals: Vec::with_capacity(arrivals.len()), duplicates: 0, conflicting: 0 };
    let mut kept: HashMap<&[u8], usize> = HashMap::with_capacity(arrivals.len());
    for arrival in arrivals {
        let next = once.arrivals.len();
        let first = *kept.entry(arrival.event.id()).or_insert(next);
        match once.arrivals.get(first) {
            None => once.arrivals.push(arrival),
            Some(before) => {
                once.duplicates += 1;
                once.conflicting += usize::from(!say_the_same(&before.event, &arrival.event));
            }
        }
    }
    once
}

/// By time, and where times are equal by what no order of arrival changes.
pub fn canonical(arrivals: &mut [Arrival<'_>]) {
    if !arrivals.is_sorted_by(|one, other| canonically(one) <= canonically(other)) {
        arrivals.sort_by(|one, other| canonically(one).cmp(&canonically(other)));
    }
}

fn canonically<'a>(arrival: &Arrival<'a>) -> (i64, &'a [u8], i64, &'a [u8]) {
    let event = &arrival.event;
    (event.long(OCCURRED_AT), event.text(EMITTER_ID), event.long(SEQ), event.id())
}

/// A project and a workflow.
type Name<'a> = (&'a [u8], &'a [u8]);

/// A run's own events, whose project it is, and how many events were set aside.
#[allow(missing_docs)]
pub struct Owned<'e, 'a> {
    pub events: Vec<&'e Event<'a>>,
    pub project: &'a [u8],
    pub set_aside: usize,
}

/// A run belongs to the project and workflow that most of its events name, of equals to the first in order.
pub fn owned<'e, 'a>(arrivals: &'e [Arrival<'a>]) -> Option<Owned<'e, 'a>> {
    let events: Vec<&Event<'_>> = arrivals.iter().map(|arrival| &arrival.event).collect();
    let mut votes: Vec<(Name<'_>, usize)> = Vec::new();
    for event in &events {
        let named = (event.text(PROJECT), event.text(WORKFLOW));
        let vote = usize::from(!is_remark(event));
        match votes.iter_mut().find(|(each, _)| *each == named) {
            Some((_, count)) => *count += vote,
            None => votes.push((named, vote)),
        }
    }
    let most = votes.iter().map(|(_, count)| *count).max()?;
    let ((project, workflow), _) = *votes.iter().find(|(_, count)| *count == most)?;
    if votes.len() == 1 {
        return Some(Owned { events, project, set_aside: 0 });
    }
    let all = events.len();
    let own: Vec<&Event<'_>> = events
        .into_iter()
        .filter(|event| event.text(PROJECT) == project || is_remark(event))
        .filter(|event| event.text(WORKFLOW) == workflow || is_foreign(event))
        .collect();
    let set_aside = all - own.len();
    Some(Owned { events: own, project, set_aside })
}

fn is_remark(event: &Event<'_>) -> bool {
    is_foreign(event) && event.text(EVENT_TYPE) == TYPE_EVALUATION_RECORDED
}

/// Whether it came as a span of a foreign trace, which nobody numbers.
pub fn is_foreign(event: &Event<'_>) -> bool {
    event.text(EMITTER_ID) == UNNUMBERED
}

/// The workflow that is said outright, else the topmost agent's name, else the service's, else the span's.
pub fn workflow<'a>(events: &[&Event<'a>]) -> &'a [u8] {
    events.iter().min_by_key(|event| strength(event)).map_or(b"", |event| event.text(WORKFLOW))
}

fn strength(event: &Event<'_>) -> (u8, i64) {
    let source = event.maybe_text(WORKFLOW_SOURCE);
    let rank = SOURCES.iter().find(|(word, _)| Some(*word) == source).map_or(0, |(_, rank)| *rank);
    (rank, if rank == 0 { 0 } else { event.long(RUN_STARTED_AT) })
}
