"""Floor 5: notebooks without a browser."""

import sys
from importlib import import_module
from typing import Any

_GRAMMAR = "rfc3987_syntax"

if "jsonschema" not in sys.modules and _GRAMMAR not in sys.modules:
    # Where this package is installed, jsonschema has it compile a grammar of web addresses when it is imported: 1.6 s
    # for a format that no notebook has.
    held_back: Any = None
    sys.modules[_GRAMMAR] = held_back
    import_module("jsonschema")

    del sys.modules[_GRAMMAR]
