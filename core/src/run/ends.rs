//! How a run begins and ends: which of several ends is believed, and what stands for both where nobody tells them.

use super::events::is_foreign;
use crate::event::Event;
use crate::schema::{
    AFTERTHOUGHTS, EVENT_TYPE, FINAL_STATE, FINALSTATE_ANSWERED, FINALSTATE_FAILED, OCCURRED_AT, PARENT_STEP_ID,
    RUN_STARTED_AT, STARTED_AT, STATUS, STATUS_ERROR, STEP_ID, TYPE_RUN_FINISHED, TYPE_RUN_STARTED, TYPE_STEP_FINISHED,
};
use std::collections::HashSet;

/// `start`: the event that begins the run. `end`: the one that is believed of how it ended, and `ended_at` when.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Ends<'e, 'a> {
    pub start: Option<&'e Event<'a>>,
    pub end: Option<&'e Event<'a>>,
    pub ended_at: Option<i64>,
    pub final_state: Option<&'a [u8]>,
    /// Of a foreign trace, at how many moments a span without a parent began.
    pub roots: usize,
    /// No span of it enters: its topmost orphans stand for a start and an end.
    pub is_orphaned: bool,
}

/// The ends of a run's events, in canonical order.
pub fn ends_of<'e, 'a>(events: &[&'e Event<'a>]) -> Ends<'e, 'a> {
    let starts = of_type(events, TYPE_RUN_STARTED);
    let ends = of_type(events, TYPE_RUN_FINISHED);
    if starts.is_empty() && ends.is_empty() {
        let orphans = topmost_orphans(events);
        if !orphans.is_empty() {
            return between_orphans(&orphans);
        }
    }
    let believed = believed(&ends);
    let end = believed.map(|(end, _)| end);
    Ends {
        start: starts.first().copied(),
        end,
        ended_at: believed.map(|(_, at)| at),
        final_state: end.and_then(|end| end.maybe_text(FINAL_STATE)),
        roots: roots(&starts),
        is_orphaned: false,
    }
}

/// The events of a type.
pub fn of_type<'e, 'a>(events: &[&'e Event<'a>], kind: &[u8]) -> Vec<&'e Event<'a>> {
    events.iter().copied().filter(|event| event.text(EVENT_TYPE) == kind).collect()
}

/// Of the ends that an emitter numbers the first. Of a foreign trace's the roots' go before those of spans that were
/// entered from elsewhere, an error before an answer, the last before others; the run lasts until the last root's.
fn believed<'e, 'a>(ends: &[&'e Event<'a>]) -> Option<(&'e Event<'a>, i64)> {
    if let Some(numbered) = ends.iter().copied().find(|end| !is_foreign(end)) {
        return Some((numbered, numbered.long(OCCURRED_AT)));
    }
    let mut roots: Vec<&Event<'_>> = ends.iter().copied().filter(|end| !end.says(PARENT_STEP_ID)).collect();
    if roots.is_empty() {
        roots = ends.to_vec();
    }
    let failed = roots.iter().copied().rfind(|end| end.maybe_text(STATUS) == Some(STATUS_ERROR));
    let believed = failed.or(roots.last().copied())?;
    Some((believed, roots.iter().map(|end| end.long(OCCURRED_AT)).max()?))
}

/// The foreign steps that name a parent which never came, or none.
fn topmost_orphans<'e, 'a>(events: &[&'e Event<'a>]) -> Vec<&'e Event<'a>> {
    let seen: HashSet<&[u8]> = events.iter().filter_map(|event| event.maybe_text(STEP_ID)).collect();
    let is_seen = |event: &Event<'_>| event.maybe_text(PARENT_STEP_ID).is_some_and(|parent| seen.contains(parent));
    of_type(events, TYPE_STEP_FINISHED).into_iter().filter(|event| is_foreign(event) && !is_seen(event)).collect()
}

/// It begins with the first of them and ends as the last does, which may have come of the others' failure.
fn between_orphans<'e, 'a>(orphans: &[&'e Event<'a>]) -> Ends<'e, 'a> {
    let first = orphans
        .iter()
        .copied()
        .min_by_key(|step| (step.maybe_long(STARTED_AT).unwrap_or(0), step.maybe_text(STEP_ID).unwrap_or(b"")));
    let last = orphans.last().copied();
    let failed = last.is_some_and(|step| step.maybe_text(STATUS) == Some(STATUS_ERROR));
    Ends {
        start: first,
        end: last,
        ended_at: orphans.iter().map(|step| step.long(OCCURRED_AT)).max(),
        final_state: Some(if failed { FINALSTATE_FAILED } else { FINALSTATE_ANSWERED }),
        roots: 0,
        is_orphaned: true,
    }
}

fn roots(starts: &[&Event<'_>]) -> usize {
    let roots = starts.iter().filter(|start| is_foreign(start) && !start.says(PARENT_STEP_ID));
    roots.map(|start| start.long(RUN_STARTED_AT)).collect::<HashSet<_>>().len()
}

/// When the events say they were, leaving out what is told of a run when it is over; perhaps long after.
pub fn live(events: &[&Event<'_>]) -> Vec<i64> {
    let live = events.iter().filter(|event| !AFTERTHOUGHTS.contains(&event.text(EVENT_TYPE)));
    live.map(|event| event.long(OCCURRED_AT)).collect()
}

/// Start of the run: as its start says it, else the earliest that any event says.
pub fn started_at(events: &[&Event<'_>], ends: &Ends<'_, '_>) -> i64 {
    match ends.start {
        Some(start) => start.long(RUN_STARTED_AT),
        None => events.iter().map(|event| event.long(RUN_STARTED_AT)).min().unwrap_or(0),
    }
}

/// Last moment known: of its end, else of what happened, else of what was told of it afterwards.
pub fn finished_at(events: &[&Event<'_>], ends: &Ends<'_, '_>, live: &[i64]) -> i64 {
    let last_told = || events.iter().map(|event| event.long(OCCURRED_AT)).max().unwrap_or(0);
    ends.ended_at.unwrap_or_else(|| live.iter().copied().max().unwrap_or_else(last_told))
}
