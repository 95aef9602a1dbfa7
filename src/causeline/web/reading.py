"""A run with what the page says of it: its live gaps, and its diagnosis by the policy that judged it.

What is worked out is remembered as long as nothing that it was worked out from changes.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from causeline.console import lookups
from causeline.console.answers import LiveGap
from causeline.console.neighbours import cohort_of
from causeline.console.run_cache import RunCache
from causeline.console.store import Store
from causeline.console.views.run_page import RunPage, StepDetails, StepPanel, run_page, step_columns
from causeline.diagnosis import Cohort, Diagnosis, DriftAlert, diagnose
from causeline.drift.alerts import alerts_for_diagnosis
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.web.run_context import RunContext, context_of

_DIAGNOSES = 64
_POLICIES = 256
_COHORTS = 32
_COHORT_S = 60.0
"""For how long the neighbours of a workflow's runs are taken as they were."""
_ALERTS_S = 5.0
"""For how long what drift says of a workflow is taken as it was: its windows are minutes long."""

Alerts = tuple[DriftAlert, ...] | None


@dataclass(frozen=True)
class Read:
    """A run, its live gaps and what is diagnosed of it; what pages show of that is made once."""

    run: Run
    live: tuple[LiveGap, ...]
    diagnosis: Diagnosis

    @cached_property
    def page(self) -> RunPage:
        """The page, bounded to the rows that matter."""
        return run_page(self.run, self.live, self.diagnosis)

    @cached_property
    def columns(self) -> bytes:
        """Every step as columns, as JSON."""
        return json.dumps(step_columns(self.run, self.diagnosis), separators=(",", ":")).encode()

    @cached_property
    def panel(self) -> StepPanel:
        """What gives the details of steps."""
        return StepPanel(self.run, self.live, self.diagnosis)

    def details(self, step_id: str) -> StepDetails | None:
        """What is said of a step; None where the run has no such step."""
        return self.panel.details(step_id)


class Reading:
    """Reads runs for the pages, for any number of threads; `now_s` is a clock that does not go back."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._runs = RunCache()
        self._lock = Lock()
        self._read: OrderedDict[str, tuple[tuple[object, ...], Read]] = OrderedDict()
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._cohorts: OrderedDict[tuple[object, ...], tuple[float, Cohort]] = OrderedDict()
        self._alerts: dict[str, tuple[float, Alerts]] = {}

    def read(self, store: Store, text: str) -> Read:
        """The run whose id is, or ends or begins with, `text`; raises NotFound or MalformedId."""
        run = lookups.run_by_id(store, text, self._runs)
        live, policy, alerts = self._beside(store, run)
        with self._lock:
            found = self._read.get(run.run_id)
            if found is not None and found[0][0] is run and found[0][1:] == (live, policy, alerts):
                self._read.move_to_end(run.run_id)
                return found[1]
        judging = policy or DEFAULT_POLICY
        made = Read(run, live, diagnose(run, judging, alerts, self._cohort(store, run, judging)))
        with self._lock:
            self._read[run.run_id] = ((run, live, policy, alerts), made)
            self._read.move_to_end(run.run_id)
            while len(self._read) > _DIAGNOSES:
                self._read.popitem(last=False)
        return made

    def _beside(self, store: Store, run: Run) -> tuple[tuple[LiveGap, ...], Policy | None, Alerts]:
        """Live gaps, the policy (a hash names one text for ever) and the alerts of the workflow, in one question."""
        now_s = self._now_s()
        policy = self._policies.get(run.policy_hash or "")
        known = self._alerts.get(run.workflow)
        is_fresh = known is not None and now_s - known[0] < _ALERTS_S
        told = context_of(store, run, policy=policy is None, drift=not is_fresh)
        alerts = known[1] if known is not None and is_fresh else self._alerts_of(store, run.workflow, told)
        with self._lock:
            if policy is None and told.policy is not None and run.policy_hash is not None:
                policy = self._policies[run.policy_hash] = told.policy
                while len(self._policies) > _POLICIES:
                    self._policies.popitem(last=False)
            if not is_fresh:
                self._alerts = {name: each for name, each in self._alerts.items() if now_s - each[0] < _ALERTS_S}
                self._alerts[run.workflow] = (now_s, alerts)
        return told.live, policy, alerts

    @staticmethod
    def _alerts_of(store: Store, workflow: str, told: RunContext) -> Alerts:
        if not told.is_watched:
            return None
        return alerts_for_diagnosis(store, workflow) if told.has_alerts else ()

    def _cohort(self, store: Store, run: Run, policy: Policy) -> Cohort:
        """The neighbours of a run, shared by those of its workflow that started in the same hour."""
        hour = run.started_at.replace(minute=0, second=0, microsecond=0) if run.started_at else None
        key = (run.workflow, run.policy_hash, hour)
        now_s = self._now_s()
        known = self._cohorts.get(key)
        if known is not None and now_s - known[0] < _COHORT_S:
            return known[1]
        cohort = cohort_of(store, run, policy)
        with self._lock:
            self._cohorts[key] = (now_s, cohort)
            self._cohorts.move_to_end(key)
            while len(self._cohorts) > _COHORTS:
                self._cohorts.popitem(last=False)
        return cohort
