"""How well `statistics.overlap` finds the description that a paraphrase was made of.

`WORKBENCH_PARAPHRASES` names a Python file whose `P` are 60 paraphrases that a person wrote of descriptions in the
corpus. Which description each is of, its author did not write down; the list below was found by reading both, and goes
through the corpus in the order of the files' names, as the paraphrases do.
"""

from __future__ import annotations

import os
import runpy
import time
from pathlib import Path

import numpy as np

from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent
from workbench.statistics.overlap import rank_pairs, vectors_of

SHORTEST = 40
"""Characters of a description, below which it says nothing that another could say too."""
MEANT = """\
Cloud_Architect agent-coordination analyze-product angularjs-expert api-sme arch-system-design ava-expert
behavioral-transformation-agent bug-auditor code-example-generator coding-standards
collective-intelligence-coordinator data-plane-sme dataviz-designer dependency-auditor docs-api-openapi
documentation-standard domain-driven-design engineering-senior-developer engineering-threat-detection-engineer
entry-optimizer feature-development feature-implementation-agent functional-analyst game-designer:Systems
gemini-interactive-shell godot-gameplay-scripter graphql-architect hcp-architect-sme hook-integration-agent
influencer-tracker infra-auditor kotlin llm-optimization marketing-analytics-agent moc-agent
nephio-oran-orchestrator-agent nuxtjs-debugger ops-cicd-github plan-generator plan-implementer pr-manager
product-owner project-coordinator-specialist release-manager:Automated security-auditor:Comprehensive security-expert
security-scanner sentiment-analyzer seo-authority-builder sparc-coordinator spec-mobile-react-native specification
technical-documenter terraform-module-developer test-writer testing-expert testing-standards tool-recommendations
web-scraping-expert"""
"""Of each paraphrase the file's name without `.md`, or its beginning; where several have it, the first word of the
description."""


def main() -> None:
    here = Path(__file__).parents[2]
    corpus = Path(os.environ.get("WORKBENCH_CORPUS") or here.parent / "shared" / "corpus")
    paraphrases = Path(os.environ.get("WORKBENCH_PARAPHRASES") or corpus.parent / "instruments" / "paraphrases.py")
    if not corpus.is_dir() or not paraphrases.is_file():
        print(
            f"no corpus at {corpus}, or no paraphrases at {paraphrases}; name them in WORKBENCH_CORPUS and _PARAPHRASES"
        )
        return
    written: list[str] = runpy.run_path(str(paraphrases))["P"]
    descriptions = _descriptions(corpus / "real")
    meant = [_number(descriptions, each) for each in MEANT.split()]
    texts = list(descriptions)
    began = time.perf_counter()
    vectors = vectors_of([*written, *texts])
    table = (vectors[: len(written)] @ vectors[len(written) :].T).toarray()
    seconds = time.perf_counter() - began
    right = table[np.arange(len(meant)), meant]
    above = (table > right[:, None]).sum(axis=1)
    others = np.delete(table.ravel(), np.arange(len(meant)) * len(texts) + meant)
    ranks = np.searchsorted(np.sort(others), right)
    print(f"{len(written)} paraphrases by hand, {len(texts)} distinct descriptions: {seconds:.2f} s")
    print(
        f"the description meant is the nearest for {(above == 0).sum()}, among the nearest five for {(above < 5).sum()}"
    )
    print(f"AUC against all other descriptions: {ranks.mean() / len(others):.3f}")
    bar = float(np.quantile(others, 0.999))
    print(f"recall where one in 1,000 of the others passes (above {bar:.2f}): {(right > bar).mean():.2f}")
    began = time.perf_counter()
    rank_pairs(texts * (2_000 // len(texts) + 1))
    print(f"pairs of {len(texts) * (2_000 // len(texts) + 1):,} descriptions: {time.perf_counter() - began:.2f} s")


def _descriptions(folder: Path) -> dict[str, str]:
    """By description the name of its file, each once."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.md")):
        description = read_as_claude_code(load_agent(path)).description or ""
        if len(description) >= SHORTEST:
            found.setdefault(description, path.stem)
    return found


def _number(descriptions: dict[str, str], meant: str) -> int:
    stem, _, begins = meant.partition(":")
    named = [(text, name) for text, name in descriptions.items() if name == stem]
    named = named or [(text, name) for text, name in descriptions.items() if name.startswith(stem)]
    [text] = [text for text, _ in named if text.startswith(begins)]
    return list(descriptions).index(text)
