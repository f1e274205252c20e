"""`python -m workbench` is the `workbench` command."""

import sys
from pathlib import Path

# `-m` puts the working directory before all packages: a file there would be imported in place of one of them.
if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
    del sys.path[0]

from workbench.cli import main

if __name__ == "__main__":
    main()
