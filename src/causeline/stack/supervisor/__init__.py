"""A supervisor of local processes: services as data, readiness, restarts with back-off, an orderly end."""

from causeline.stack.supervisor.service import (
    HttpProbe,
    LogLineProbe,
    Plan,
    ProcessId,
    Service,
    StartedProbe,
    TcpProbe,
)
from causeline.stack.supervisor.state import ServiceReport, ServiceState, SupervisorReport

__all__ = [
    "HttpProbe",
    "LogLineProbe",
    "Plan",
    "ProcessId",
    "Service",
    "ServiceReport",
    "ServiceState",
    "StartedProbe",
    "SupervisorReport",
    "TcpProbe",
]
