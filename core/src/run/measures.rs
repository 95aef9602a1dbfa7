//! Cost, tokens and retries of a run: sums over the steps that count.

use super::steps::Step;
use std::collections::{HashMap, HashSet};

/// The steps that say a measure and count, with what they say.
///
/// A step counts unless one beneath it says the same measure: a parent that sums up its children is not counted twice,
/// and one whose children are silent is not lost.
pub fn counted<'s, 'e, 'a, N>(
    steps: &'s [Step<'e, 'a>],
    says: impl Fn(&Step<'e, 'a>) -> Option<N>,
) -> Vec<(&'s Step<'e, 'a>, N)> {
    let saying: Vec<(&Step<'_, '_>, N)> =
        steps.iter().filter_map(|step| says(step).map(|value| (step, value))).collect();
    if saying.iter().all(|(step, _)| step.parent.is_none()) {
        return saying;
    }
    let above = enclosing(saying.iter().map(|(step, _)| step.parent), steps);
    saying.into_iter().filter(|(step, _)| !above.contains(step.id)).collect()
}

/// `parents`, and the steps that enclose them, at any depth; parents that go in a circle all enclose each other.
fn enclosing<'a>(parents: impl Iterator<Item = Option<&'a [u8]>>, steps: &[Step<'_, 'a>]) -> HashSet<&'a [u8]> {
    let parent_of: HashMap<&[u8], Option<&'a [u8]>> = steps.iter().map(|step| (step.id, step.parent)).collect();
    let mut above: HashSet<&'a [u8]> = HashSet::new();
    for parent in parents {
        let mut step = parent;
        while let Some(id) = step {
            if !above.insert(id) {
                break;
            }
            step = parent_of.get(id).copied().flatten();
        }
    }
    above
}

/// Their sum, added in the order of the steps; at most the largest finite number. None where none is said.
pub fn usd(costs: &[(&Step<'_, '_>, f64)]) -> Option<f64> {
    costs.iter().map(|(_, cost)| *cost).reduce(|total, cost| total + cost).map(|total| total.min(f64::MAX))
}

/// Their sum, at most the largest long. None where none is said.
pub fn total(counts: &[(&Step<'_, '_>, i64)]) -> Option<i64> {
    counts.iter().map(|(_, count)| *count).reduce(i64::saturating_add)
}

/// kind:name of the most expensive of those that count, the first where two are equal.
pub fn costliest_step(costs: &[(&Step<'_, '_>, f64)]) -> Option<Vec<u8>> {
    let mut costliest: Option<&(&Step<'_, '_>, f64)> = None;
    for each in costs {
        if costliest.is_none_or(|(_, most)| each.1 > *most) {
            costliest = Some(each);
        }
    }
    costliest.map(|(step, _)| step.label())
}
