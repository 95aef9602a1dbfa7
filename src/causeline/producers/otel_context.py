"""The OpenTelemetry span that is current where a run begins, if the application uses OpenTelemetry at all."""

import logging
import sys

_API = "opentelemetry.trace"
log = logging.getLogger(__name__)


def current_span() -> tuple[str, str] | None:
    """Trace id and span id, 32 and 16 hex digits; None outside a span. Imports nothing: who has spans has the API."""
    api = sys.modules.get(_API)
    if api is None:
        return None
    try:
        context = api.get_current_span().get_span_context()
        ids = (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None
    except Exception as error:  # noqa: BLE001 - whatever is installed there, the application goes on
        log.debug("The current OpenTelemetry span cannot be read: %s", type(error).__name__)
        return None
    return ids
