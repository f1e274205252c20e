"""Every built-in grader by name, with options with which it has something to say."""

from __future__ import annotations

from typing import Any

GRADERS: dict[str, dict[str, Any]] = {
    "mentions": {"any": ["rate limit", "as an AI", "a"]},
    "omits": {"any": ["x - y", "***"]},
    "matches": {"pattern": "needle"},
    "contains": {"text": "needle", "where": "sentences"},
    "equals": {"text": "needle"},
    "word_count": {"at_least": 10},
    "has_sentences": {"at_least": 2},
    "readability": {"at_most": 40},
    "language": {"any": ["en", "de"]},
    "code_share": {"at_most": 0.5},
    "asks_question": {},
    "has_diagram": {"on_topic": True},
    "has_code": {"language": "python"},
    "has_section": {"any": ["Trade-offs", "a b c"]},
    "headings": {"all": ["Trade-offs", "a b c"]},
    "has_table": {"columns": ["a"]},
    "has_list": {},
    "is_json": {},
    "has_files": {"all": ["a.py", "*"]},
    "python_parses": {},
    "type_hints": {},
    "docstrings": {},
    "avoids": {"constructs": ["print", "assert"]},
    "modern_python": {},
    "defines": {"all": ["f"]},
    "uses": {"any": ["f"]},
    "has_tests": {},
    "safe_sql": {},
    "no_secrets": {},
}
MEASURED: dict[str, dict[str, Any]] = {
    "latency": {"at_most": 10},
    "tokens": {"at_most": 500},
    "cost": {"at_most": 0.01},
}
"""Those of what a reply took, whatever its text is."""
PROGRAMS: dict[str, dict[str, Any]] = {"ruff": {"select": ["F"]}, "mypy": {}}
"""Those that let a program read it, which has limits of its own."""
COMBINING: dict[str, dict[str, Any]] = {"all_of": {}, "any_of": {}, "at_least": {"count": 2}}
"""Those that are handed other graders."""
OTHERS = {*MEASURED, *PROGRAMS, *COMBINING}
