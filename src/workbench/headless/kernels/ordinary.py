"""A kernel by an ordinary start: `python -P ordinary.py -f FILE`.

A notebook may import the modules beside it. IPython looks for them before it looks for packages, so that a file
`anywidget.py` of the folder would be run by whatever needs that package; here they are looked for last.
"""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    sys.path.append("")  # where it is there already, IPython leaves the path as it is
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
