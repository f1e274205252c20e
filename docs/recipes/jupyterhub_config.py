"""What JupyterHub has to know: the lines for its jupyterhub_config.py.

The workbench is installed in the Python that the single-user servers run in. Everybody starts in JupyterLab, whose menu
and launcher open an agent, with one ledger for all, so that no answer is paid for twice, and a budget a month each.
"""

import os
from datetime import date

c = get_config()  # noqa: F821

c.Spawner.notebook_dir = "~/agents"
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    # The hub's own environment has the key; nobody else's settings or notebooks do.
    "ANTHROPIC_API_KEY": os.environ["ANTHROPIC_API_KEY"],
    # With a password in it, it is a key as well: from the hub's environment too.
    "WORKBENCH_LEDGER": os.environ["WORKBENCH_LEDGER"],
    "WORKBENCH_BUDGET_SCOPE": lambda spawner: f"{spawner.user.name}-{date.today():%Y-%m}",
    "WORKBENCH_BUDGET_USD": "20",
}
