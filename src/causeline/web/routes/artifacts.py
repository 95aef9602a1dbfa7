"""What artifacts hold, for those who have the right: a bounded page of text with the cited place marked, or a picture.

Every read is logged: who, which address, for which run. HTML, SVG and PDF are never shown, only handed out as files.
"""

import logging

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup, escape

from causeline.runtime.text import visible
from causeline.web.identity import Person
from causeline.web.site import ContentReader, Site, TheSite
from causeline.web.views.artifact import PAGE_BYTES, excerpt, image_type, is_text

router = APIRouter(prefix="/artifacts", include_in_schema=False)
log = logging.getLogger(__name__)
_PAGE_BREAK = "──── next page ────"
_SANDBOX = {"content-security-policy": "sandbox; default-src 'none'", "x-content-type-options": "nosniff"}


def lines(text: str) -> Markup:
    """Text of several lines for a page: each line made visible and escaped by itself, tabs kept, pages told apart."""
    paged = text.replace("\f", f"\n{_PAGE_BREAK}\n")
    shown = "\n".join("\t".join(visible(cell) for cell in line.split("\t")) for line in paged.split("\n"))
    return Markup(escape(shown))  # noqa: S704 - escaped here


def _read(site: Site, ref: str, run: str, person: Person) -> bytes:
    data = site.artifacts().get(ref)
    log.info(
        "artifact read: %s by %s for run %s",
        visible(ref.partition("#")[0])[:200],
        visible(person.name) or "a reader",
        visible(run)[:40] or "none",
    )
    return data


@router.get("")
def artifact(
    request: Request, site: TheSite, person: ContentReader, ref: str, run: str = "", start: int | None = None
) -> HTMLResponse:
    """A page of what stands under a reference."""
    data = _read(site, ref, run, person)
    base, _, fragment = ref.partition("#")
    image, text = image_type(data), is_text(data)
    return site.pages(
        request,
        "artifact.html",
        here="runs",
        ref=ref,
        base=base,
        fragment=fragment,
        run_id=run,
        size=f"{len(data):,d} bytes",
        form=image or ("text" if text else "bytes"),
        image=image,
        page=excerpt(data, fragment, start=start) if text and image is None else None,
        step=PAGE_BYTES // 2,
    )


@router.get("/image")
def picture(site: TheSite, person: ContentReader, ref: str, run: str = "") -> Response:
    """A picture that a browser may show."""
    data = _read(site, ref, run, person)
    media_type = image_type(data)
    if media_type is None:
        raise HTTPException(404, "This artifact is no picture that may be shown.")
    return Response(data, media_type=media_type, headers=_SANDBOX)


@router.get("/raw")
def raw(site: TheSite, person: ContentReader, ref: str, run: str = "") -> Response:
    """The bytes, as a file to be saved."""
    data = _read(site, ref, run, person)
    name = ref.partition("#")[0].rpartition("/")[2][:16]
    headers = _SANDBOX | {"content-disposition": f'attachment; filename="artifact-{name}"'}
    return Response(data, media_type="application/octet-stream", headers=headers)
