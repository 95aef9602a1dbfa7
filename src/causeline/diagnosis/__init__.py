"""From a run to its cause: `diagnose(run, policy, drift, cohort)`, pure."""

from causeline.diagnosis.cohort import Cohort
from causeline.diagnosis.diagnose import Reading, diagnose, diagnosis_of, may_speak, row_of
from causeline.diagnosis.model import (
    Cause,
    Certainty,
    Diagnosis,
    DriftAlert,
    Duty,
    Finding,
    Proof,
    Role,
)  # fmt: skip

__all__ = [
    "Cause", "Certainty", "Cohort", "Diagnosis", "DriftAlert", "Duty", "Finding", "Proof", "Reading", "Role",
    "diagnose", "diagnosis_of", "may_speak", "row_of",
]  # fmt: skip
