//! Version anchors: what a step of each kind must record so that its outcome can be explained and compared later.

use super::steps::Step;
use crate::schema::{REQUIRED, STATUS, STATUS_OK, STATUS_SKIPPED, STEP_KIND};

/// Those that the run's steps should have recorded and did not, as kind.field, in causal order.
pub fn missing_anchors(steps: &[Step<'_, '_>]) -> Vec<&'static [u8]> {
    let mut lacking = vec![false; REQUIRED.len()];
    for step in steps {
        let status = step.text(STATUS);
        if status.is_none() || status == Some(STATUS_SKIPPED) {
            continue;
        }
        let kind = step.text(STEP_KIND);
        for (lacks, (asked, field, only_when_ok, _)) in lacking.iter_mut().zip(REQUIRED) {
            *lacks |= Some(*asked) == kind && (!only_when_ok || status == Some(STATUS_OK)) && !step.says(*field);
        }
    }
    lacking.iter().zip(REQUIRED).filter(|(lacks, _)| **lacks).map(|(_, (.., name))| *name).collect()
}
