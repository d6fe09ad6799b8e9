"""Stylesheets, scripts and icons: read once, named by their content.

Promise: a file's address changes with its content, so that browsers may keep it
for a year and never show an old one. Nothing outside the static folder can be
reached, since only names read at the start exist.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from newsletter.errors import NotFound

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static/"
FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file's bytes, plain and compressed."""

    media_type: str
    plain: bytes
    packed: bytes

    def response(self, request: Request) -> Response:
        """Answer with the form that the browser takes."""
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "Cross-Origin-Resource-Policy": "same-origin"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.packed if packed else self.plain, media_type=self.media_type, headers=headers)


@dataclass(frozen=True, slots=True)
class Statics:
    """All static files by their public name, and the public name of each plain one."""

    files: Mapping[str, StaticFile]
    names: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Statics:
        """Read the folder; a few small files."""
        files: dict[str, StaticFile] = {}
        names: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            public = f"{path.stem}.{digest}{path.suffix}"
            media_type = mimetypes.types_map.get(path.suffix, "application/octet-stream")
            files[public] = StaticFile(media_type, content, gzip.compress(content, mtime=0))
            names[path.name] = public
        return cls(files, names)

    def url(self, name: str) -> str:
        """Return the address of the file that is called ``name`` in the folder."""
        return PREFIX + self.names[name]

    def serve(self, request: Request) -> Response:
        """Answer a request under ``/static/``."""
        found = self.files.get(request.path_params["name"])
        if found is None:
            raise NotFound("There is no such file.")
        return found.response(request)
