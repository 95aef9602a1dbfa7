"""From a run to its cause: `diagnose(run, policy, drift)`, pure."""

from causeline.console.diagnosis.diagnose import diagnose
from causeline.console.diagnosis.model import Answer, Cause, Diagnosis, DriftAlert, Finding, Health, Question

__all__ = ["Answer", "Cause", "Diagnosis", "DriftAlert", "Finding", "Health", "Question", "diagnose"]
