"""Pages made of templates: everything shown is escaped, and made visible where it would hide, turn or move text."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from causeline.console import words
from causeline.runtime.text import short_id, shortened, visible

TEMPLATES = Path(__file__).parent / "templates"
_ROOMS: tuple[tuple[str, str, str], ...] = (
    ("runs", "runs", "Runs"),
    ("causes", "causes", "Causes"),
    ("reviews", "reviews", "Reviews"),
    ("drift", "drift", "Drift"),
    ("evals", "evals", "Evals"),
    ("sessions", "sessions", "Sessions"),
    ("sql", "sql", "SQL"),
    ("pipeline", "pipeline", "Pipeline"),
)


@dataclass(frozen=True, slots=True)
class Room:
    """An entry of the navigation."""

    name: str
    path: str
    title: str


NAVIGATION = tuple(Room(*each) for each in _ROOMS)


def _shown(value: object) -> object:
    """What a template prints of a value: None as nothing, text from elsewhere with nothing in it that hides."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _when(moment: datetime | None) -> Markup:
    if moment is None:
        return Markup("")
    utc = moment.astimezone(UTC)
    text = f"{utc:%Y-%m-%d %H:%M:%S}"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), text)


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return "in the future"
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {word} ago"
    return f"{int(seconds)} s ago"


class Pages:
    """Renders templates for requests."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": _when,
            "ago": _ago,
            "duration": words.duration,
            "dollars": words.dollars,
            "number": words.number,
            "short": lambda text, width=44: shortened(visible(str(text)), width),
            "spaced": lambda text: str(text).replace("_", " "),
            "quoted": lambda text: quote(str(text), safe=""),
            "counted": words.count,
            "short_id": lambda text: short_id(str(text)),
        }
        self._version = version("causeline")

    def add_filter(self, name: str, act: Callable[..., object]) -> None:
        """Let templates use `act` by a name."""
        self._environment.filters[name] = act

    def __call__(
        self, request: Request, template: str, *, here: str, status: int = 200, **shown: object
    ) -> HTMLResponse:
        """The page of a template; `here` names the entry of the navigation that it belongs to."""
        base = request.scope.get("root_path", "") + "/"
        text = self._environment.get_template(template).render(
            shown
            | {
                "url": lambda path, **query: base + path + (f"?{urlencode(query, doseq=True)}" if query else ""),
                "here": here,
                "navigation": NAVIGATION,
                "person": request.state.person,
                "csrf": request.state.csrf,
                "version": self._version,
                "now": datetime.now(UTC),
                "request": request,
            }
        )
        return HTMLResponse(text, status)
