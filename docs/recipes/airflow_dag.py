"""A comparison every night under Airflow, by the PapermillOperator: keep it in Airflow's folder of DAGs.

The workers need apache-airflow-providers-papermill, the workbench in the same Python, the project at PROJECT, and the
key in their environment. Tried with Airflow 3.3 and its papermill provider 3.13.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import DAG

PROJECT = os.environ.get("AGENTS_PROJECT", "/srv/agents")


class WorkbenchOperator(PapermillOperator):
    """A notebook in the project folder, under the workbench's engine: a misspelt parameter fails the task."""

    def execute(self, context: Any) -> Any:
        from papermill.engines import papermill_engines

        from workbench.headless.papermill_engine import WorkbenchEngine

        # The operator names no engine and no folder: these are what papermill takes then, in this task's process.
        papermill_engines.register(None, WorkbenchEngine)
        os.chdir(PROJECT)
        return super().execute(context)


with DAG(dag_id="agents", schedule="17 2 * * 1-5", catchup=False):
    WorkbenchOperator(
        task_id="compare",
        input_nb="notebooks/compare.ipynb",
        output_nb="outputs/airflow-{{ ds_nodash }}.ipynb",
        parameters={
            "agent": "agents/senior-python-architect.md",
            "repeats": 3,
            "budget_usd": 5.0,
            "out": "outputs/airflow-{{ ds_nodash }}",
        },
        retries=2,  # what was answered before is in the ledger, and is not paid for again
    )
