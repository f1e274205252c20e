"""Every agent of a project every night under Airflow, by the PapermillOperator: keep it in Airflow's folder of DAGs.

Airflow's Python needs apache-airflow-providers-papermill and the workbench, the workers the key in their environment,
and all of them the project at AGENTS_PROJECT. Tried with Airflow 3.3 and its papermill provider 3.13.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import DAG

from workbench import find_agents
from workbench.shipped.files import shipped

PROJECT = Path(os.environ.get("AGENTS_PROJECT", "/srv/agents")).resolve()


class WorkbenchOperator(PapermillOperator):
    """A notebook in the project folder, under the workbench's engine: a misspelt parameter fails the task."""

    def execute(self, context: Any) -> Any:
        from papermill.engines import papermill_engines

        from workbench.definition.project import write_folder
        from workbench.headless.papermill_engine import WorkbenchEngine

        # The operator names no engine and no folder: these are what papermill takes then, in this task's process.
        papermill_engines.register(None, WorkbenchEngine)
        os.chdir(PROJECT)
        write_folder(Path("outputs"))  # of which git sees nothing
        return super().execute(context)


with DAG(dag_id="agents", schedule="17 2 * * 1-5", catchup=False):
    for agent in find_agents(PROJECT):
        if agent.kind == "user":  # of whoever runs Airflow
            continue
        path = os.path.relpath(agent.path, PROJECT)
        name = re.sub(r"[^\w.-]+", "-", path.removesuffix(".md"))  # two agents may have one file name, and no path
        WorkbenchOperator(
            task_id=name,
            input_nb=str(shipped("notebooks/nightly.ipynb")),
            output_nb=f"outputs/airflow-{{{{ ds_nodash }}}}-{name}.ipynb",
            parameters={
                "agent": path,
                "repeats": 3,
                "budget_usd": 1.0,
                "out": f"outputs/airflow-{{{{ ds_nodash }}}}-{name}",
            },
            retries=2,  # a retry goes on where the night ended, and pays for no answer of it twice
        )
