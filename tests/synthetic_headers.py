"""188 headers of agent files, made for what readers differ in: hooks, tabs, quoting, tools and models."""

from __future__ import annotations

from collections.abc import Iterator

_HOOK = "{type: command, command: echo}"

HOOKS = (
    *("{}", "[]", "null", "~", "false", "true", "0", "1", "1.5", "''", '""', "x", "'{}'", "2026-01-01", "{a: b}"),
    *("{PreToolUse: []}", "{PreToolUse: {}}", "{PreToolUse: null}", "{PreToolUse: x}", "{PreToolUse: [null]}"),
    *("{PreToolUse: [{}]}", "{PreToolUse: [[]]}", "{PreToolUse: [{hooks: []}]}", "{PreToolUse: [{hooks: null}]}"),
    *("{PreToolUse: [{hooks: {}}]}", "{PreToolUse: [{matcher: null, hooks: []}]}"),
    *("{PreToolUse: [{matcher: '', hooks: []}]}", "{PreToolUse: [{matcher: 5, hooks: []}]}"),
    *("{PreToolUse: [{matcher: Bash, hooks: [x]}]}", "{PreToolUse: [{hooks: [{}]}]}"),
    *("{PreToolUse: [{hooks: [{type: command}]}]}", "{PreToolUse: [{hooks: [{type: command, command: 5}]}]}"),
    *("{PreToolUse: [{hooks: [{type: prompt, prompt: hi}]}]}", "{PreToolUse: [{hooks: [{type: prompt}]}]}"),
    *("{PreToolUse: [{hooks: [{type: http, url: x}]}]}", "{PreToolUse: [{hooks: [{type: agent, prompt: x}]}]}"),
    *(
        "{PreToolUse: [{hooks: [" + _HOOK[:-1] + ", timeout: " + timeout + "}]}]}"
        for timeout in ("5", "0", "-1", "'5'", "null", "true", "1.5")
    ),
    "{PreToolUse: [{hooks: [" + _HOOK[:-1] + ", extra: 1}]}]}",
    "{PreToolUse: [{extra: 1, hooks: [" + _HOOK + "]}]}",
    "{PreToolUse: [{hooks: [" + _HOOK + "]}], Nothing: x}",
    *("{PostToolUse: x}", "{Stop: [{hooks: x}]}", "{Foo: []}", "{preToolUse: [x]}", "{Stop: null}", "{5: x}"),
    *("\n  PreToolUse:\n    - matcher: Bash\n      hooks:\n        - type: command\n          command: echo",),
    *(
        "\n  PreToolUse:\n    - matcher: Bash\n      command: echo",
        "\n  Stop:\n    - command: echo",
        "\n  - PreToolUse",
    ),
)
TABS = (
    "tools:\n\t- Read",
    "tools:\n \t- Read",
    "tools:\n\t\t- Read\n\t\t- Grep",
    "tools:\t Read",
    "tools:\tRead,\tGrep",
    "tools: Read\t",
    "tools: Read,\tGrep",
    "tools: [Read,\tGrep]",
    "tools: [\n\tRead]",
    "tools:\n- Read\t\n- Grep",
    "tools:\n-\tRead",
    "model:\tsonnet",
    "model: sonnet\t# comment",
    "model: 'sonnet\t'",
    'model: "\tsonnet"',
    "initialPrompt: one\n\ttwo",
    "initialPrompt: >\n\tone",
    "initialPrompt: |\n  one\n\ttwo",
    "\tmodel: sonnet",
    "hooks:\n\tStop:\n\t\t- hooks:\n\t\t\t- type: command\n\t\t\t  command: echo",
    "\t\nmodel: sonnet",
    "# a\tremark\nmodel: sonnet",
)
QUOTING = (
    "description: 'it''s: here'",
    "description: 'it's: here'",
    'description: "a \\"b\\": c"',
    'description: "a "b": c"',
    'description: "a: b" # remark',
    "description: a: b # remark",
    "description: a # remark",
    "description: 'a' b",
    'description: "a\\d: b"',
    'description: "a\\nb"',
    "description: a\\nb: c",
    "description: 'a\\nb'",
    "description: a\\tb: c",
    "description: C:\\new: x",
    "description: [a, b]: c",
    "description: [a] b",
    "description: {a} b",
    "description: &a b",
    "description: *a",
    "description: !x y",
    "description: !!str 5",
    "description: > a: b",
    "description: >\n  a: b\n  c",
    "description: >-\n  a\n\n  b: c",
    "description: |\n  a: b\n  c\n",
    "description: |2\n   a: b",
    "description: |+\n  a\n\n",
    "description: @a",
    "description: `a`",
    "description: %a",
    "description: - a",
    "description: -a",
    "description: ? a",
    "description: a:",
    "description: a:b",
    "description: a, b: c",
    "description: \n  a",
    "description:\n  a: b",
    "description: a\n  b: c",
    "description: a\nb: c",
    "description: a: b\nuser: hi",
    'description: ""',
    "description: ' '",
    "description: 5",
    "description: '5'",
    "description: true",
    "description: 0x1F",
    "description: 1e3",
    "description: .inf",
    "description: 2026-01-01",
    "description: ~",
    "description: yes: no",
    "description: a: b\ndescription: c",
    '"description": a',
    "description : a",
)
TOOLS = (
    *(
        "Read",
        "Read Grep",
        "Read,Grep",
        "Read , Grep",
        "'Read'",
        '"Read, Grep"',
        "[Read]",
        '["Read", "Grep"]',
        "[]",
        "",
    ),
    *("[Read Grep, Glob]", "[Read, 5]", "5", "true", "{Read: true}", "'*'", '["*"]', "Read, '*'", "read", "READ"),
    *("Bash(git:*)", "Bash(git log:*, x) Read", "Agent(a, b)", "Task", "Bash, Grep", "KillShell, BashOutput", "LS"),
    *("mcp__a__b", "mcp__a__*, Read", "Read\ndisallowedTools: Read", "Read\ndisallowedTools: Bash(rm:*)"),
    *("Bash\ndisallowedTools: Bash(rm:*)", "Read\nmemory: user", "Grep\nmemory: project\ndisallowedTools: Edit"),
)
MODELS = (
    *("opus", "Opus", "' opus '", "opus[1m]", "[opus]", "5", "true", "null", "inherit", "INHERIT", "best", "opusplan"),
    *("claude-opus-4-1", "claude-opus-4-7", "gpt-5: x", "default", "haiku\neffort: LOW", "sonnet\neffort: 5"),
    *("sonnet\neffort: huge", "sonnet\neffort: true", "sonnet\neffort: [high]"),
)  # fmt: skip


def synthetic_files() -> Iterator[tuple[str, bytes]]:
    """The name of each agent, and its file."""
    groups = {
        "hooks": [f"hooks: {hooks}".replace("hooks: \n", "hooks:\n") for hooks in HOOKS],
        "tab": list(TABS),
        "quote": list(QUOTING),
        "tools": [f"tools: {tools}".rstrip() for tools in TOOLS],
        "model": [f"model: {model}" for model in MODELS],
    }
    for group, headers in groups.items():
        for number, header in enumerate(headers):
            name = f"{group}-{number:02}"
            described = "" if group == "quote" else "description: Use it when asked.\n"
            yield name, f"---\nname: {name}\n{described}{header}\n---\nYou are a helper.\n".encode()
