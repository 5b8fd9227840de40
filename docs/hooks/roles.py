"""Docstrings speak reStructuredText's roles; on the site their targets are plain code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`~?([^`]+)`")


class PlainRoles(griffe.Extension):
    """Reads ``:func:`spatgmm.select``` as ```spatgmm.select```."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
