"""A run with what the page says of it: its live gaps, and its diagnosis by the policy that judged it.

What is worked out is remembered as long as nothing that it was worked out from changes.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from causeline.console import lookups
from causeline.console.answers import LiveGap
from causeline.console.neighbours import Place, cohort_at
from causeline.console.run_cache import RunCache
from causeline.console.store import Store
from causeline.console.views.run_page import RunPage, StepDetails, StepPanel, run_page, step_columns
from causeline.diagnosis import Cohort, Diagnosis, DriftAlert, diagnose
from causeline.drift.alerts import alerts_for_diagnosis
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.web.remembered import Remembered
from causeline.web.run_context import RunContext, context_of

_DIAGNOSES = 64
_POLICIES = 256
_COHORTS = 32
_COHORT_S = 60.0
"""So old the neighbours of a workflow's runs are looked for again, beside the page that they are given to."""
_ALERTED = 256
_ALERTS_S = 5.0
"""So old what drift says of a workflow is asked again, in the same way: its windows are minutes long."""

BESIDE = "beside-pages"
"""How the thread is called that asks for what no page waits for."""

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


@dataclass(frozen=True, slots=True)
class _Basis:
    """All that a diagnosis is made from."""

    run: Run
    live: tuple[LiveGap, ...]
    judging: Policy
    alerts: Alerts
    cohort: Cohort


class Reading:
    """Reads runs for the pages, for any number of threads; `now_s` is a clock that does not go back."""

    def __init__(self, now_s: Callable[[], float], beside: Executor | None = None) -> None:
        beside = beside or ThreadPoolExecutor(1, BESIDE)
        self._runs = RunCache()
        self._lock = Lock()
        self._read: OrderedDict[str, tuple[_Basis, Read]] = OrderedDict()
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._cohorts: Remembered[Place, Cohort] = Remembered(
            now_s, beside, young_s=_COHORT_S, most=_COHORTS, are_same=lambda one, other: one.rows == other.rows
        )
        self._alerts: Remembered[str, Alerts] = Remembered(now_s, beside, young_s=_ALERTS_S, most=_ALERTED)

    def read(self, store: Store, text: str) -> Read:
        """The run whose id is, or ends or begins with, `text`; raises NotFound or MalformedId."""
        run = lookups.run_by_id(store, text, self._runs)
        basis = self._basis(store, run)
        with self._lock:
            found = self._read.get(run.run_id)
        if found is not None and found[0] == basis:
            made = found[1]
        else:
            made = Read(run, basis.live, diagnose(run, basis.judging, basis.alerts, basis.cohort))
        with self._lock:
            self._read[run.run_id] = (basis, made)
            self._read.move_to_end(run.run_id)
            while len(self._read) > _DIAGNOSES:
                self._read.popitem(last=False)
        return made

    def _basis(self, store: Store, run: Run) -> _Basis:
        """What is known is taken, and the rest asked for: first what one question tells, then what that leaves."""
        policy = self._policies.get(run.policy_hash or "")
        alerts = self._alerts.get(run.workflow, lambda: alerts_for_diagnosis(store, run.workflow))
        place = Place.of(run).nearest(self._cohorts.keys())
        cohort = self._cohorts.get(place, lambda: cohort_at(store, place, self._judging(run)))
        around = place if cohort is None else None
        told = context_of(store, run, policy=policy is None, drift=alerts is None, around=around)
        if told.policy is not None and run.policy_hash is not None:
            with self._lock:
                self._policies[run.policy_hash] = told.policy
                while len(self._policies) > _POLICIES:
                    self._policies.popitem(last=False)
        judging = policy or told.policy or DEFAULT_POLICY
        if alerts is None:
            alerts = self._alerts.put(run.workflow, self._alerts_of(store, run.workflow, told))
        if cohort is None:
            cohort = self._cohorts.put(place, cohort_at(store, place, judging, are_stored=told.are_stored))
        return _Basis(run, told.live, judging, alerts.value, cohort.value)

    def _judging(self, run: Run) -> Policy:
        return self._policies.get(run.policy_hash or "", DEFAULT_POLICY)

    @staticmethod
    def _alerts_of(store: Store, workflow: str, told: RunContext) -> Alerts:
        if not told.is_watched:
            return None
        return alerts_for_diagnosis(store, workflow) if told.has_alerts else ()
