"""The headers of every reply: what the page may load, and who may frame it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

FRAMES = "FEDMED_FRAMES"
ANYBODY, NOBODY = "all", "none"
OWN = "'self' https://huggingface.co"  # a Space's page is a frame of huggingface.co
SITE = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:\d{1,5})?", re.ASCII | re.IGNORECASE)

log = logging.getLogger(__name__)


def headers(environ: Mapping[str, str]) -> dict[str, str]:
    """The headers of every reply.

    FEDMED_FRAMES says which sites may frame the page besides this one and huggingface.co: "all",
    "none", or some with blanks between, as https://course.example.org. Unset, a Space (SPACE_ID is
    set) may be framed by all, so that a course can show it, and what runs elsewhere by none: on a
    Space nobody is logged in, and a page that frames another can read nothing of it.
    """
    return {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        # Gradio's page runs inline scripts and compiles `js_on_load`, so scripts cannot be held to
        # files; but the page loads from nowhere else and sends nothing elsewhere.
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'self'",
                "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                "object-src 'none'",
                "base-uri 'self'",
                "form-action 'self'",
                f"frame-ancestors {_frames(environ)}",
            )
        ),
    }


def _frames(environ: Mapping[str, str]) -> str:
    asked = environ.get(FRAMES, "").split()
    if not asked:
        asked = [ANYBODY if "SPACE_ID" in environ else NOBODY]
    if asked == [ANYBODY]:
        return "*"
    sites = [site for site in asked if SITE.fullmatch(site)]
    if asked != [NOBODY] and sites != asked:
        log.warning(
            "%s holds what is no site and is left out; it may be %s, %s, or sites with blanks "
            "between, as https://course.example.org.", FRAMES, ANYBODY, NOBODY,
        )  # fmt: skip
    return " ".join((OWN, *sites))
