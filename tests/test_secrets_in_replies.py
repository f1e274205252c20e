"""The scrubber in figures: what usual settings do to ordinary replies (nothing), and which keys stay (none)."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, product
from pathlib import Path

import pytest

from workbench.secrets import REMOVED, is_key_like, secrets_of, without_secrets

SETTINGS = {
    "DB_PASSWORD": "password",
    "POSTGRES_PASSWORD": "postgres",
    "SECRET_KEY": "changeme",
    "DEBUG": "true",
    "MYSQL_ROOT_PASSWORD": "mysecretpassword",
    "REDIS_PASSWORD": "redis",
    "JWT_SECRET": "your-256-bit-secret",
    "OPENAI_API_KEY": "not-needed",
    "RABBITMQ_DEFAULT_PASS": "guest",
    "MINIO_ROOT_PASSWORD": "minioadmin",
    "GF_SECURITY_ADMIN_PASSWORD": "P@ssw0rd",
    "DATABASE_URL": "postgresql://postgres:postgres@localhost:5432/app",
    "CELERY_BROKER_URL": "amqp://guest:guest@localhost:5672//",
    "SESSION_SECRET": "keyboard cat",
    "ENCRYPTION_KEY": "0123456789abcdef",
    "DJANGO_SECRET_KEY": "django-insecure-change-me",
    "AUTH_TOKEN": "development",
    "PARTITION_KEY": "tenant_id",
    "SORT_KEY": "created_at",
    "SUPABASE_JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long",
    "DEFAULT_HEADERS": "Accept: application/json\nX-Tenant: production",
}
"""What stands in the `.env` files and shells of people who write software."""

SENTENCES = (
    "Never keep a password such as `postgres` or `changeme` in the repository; read it from the environment.",
    "I would start with a row per `tenant_id`, sorted by `created_at`, and add Redis only when the figures ask for it.",
    "The development settings differ from production in three places: the secret, the database and the log level.",
    "Return `application/json` and let the guest session expire; rotate the signing key every 90 days.",
    "Fit the baseline with scikit-learn as `sk-learn-model-v1`, then load `hf_hub_download_from_repo` for the large one.",
    "The header is `Authorization: Bearer $TOKEN`; a cookie would be `Set-Cookie: session=abc123; HttpOnly; Secure`.",
    "Which keyboard shortcut do you expect? A cat on the keyboard is a fine fuzz test.",
    "The key starts with `sk-ant-`, and the AWS one looks like AKIAIOSFODNN7EXAMPLE in their manual.",
    "Look for -----BEGIN PRIVATE KEY----- in the history before you make the repository public.",
    "Commit 3f2b8c1e9d04a7f6 fixed it; the image is sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.",
)
CODE = (
    'DATABASE_URL = f"postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}"',
    'engine = create_engine("postgresql://scott:tiger@localhost/test")',
    'url = "postgresql://postgres:postgres@localhost:5432/app"',
    'broker = "amqp://guest:guest@rabbitmq:5672//"  # development',
    "redis_url = os.environ.get('REDIS_URL', 'redis://:password@redis:6379/0')",
    'MONGO = "mongodb://root:example@mongo:27017/?authSource=admin"',
    'dsn = "mysql://%s:%s@%s/app" % (user, password, host)',
    'remote = "https://${GITHUB_USER}:${GITHUB_TOKEN}@github.com/acme/app.git"',
    "curl -H 'x-api-key: $ANTHROPIC_API_KEY' -H 'Cookie: session=<your session>' https://api.example.com/v1?key=value",
    "SECRET_KEY: str = 'changeme'\nPOSTGRES_PASSWORD: str = 'postgres'\nDB_PASSWORD = 'password'",
    "environment:\n  POSTGRES_PASSWORD: postgres\n  MINIO_ROOT_PASSWORD: minioadmin\n  RABBITMQ_DEFAULT_PASS: guest",
    "app.use(session({ secret: 'keyboard cat', resave: false }))",
    'client = OpenAI(base_url="http://localhost:11434/v1", api_key="not-needed")',
    'client = Anthropic(api_key="sk-ant-your-key-here")  # or sk-ant-xxxxxxxx',
    'os.environ["OPENAI_API_KEY"] = "sk-..."\nos.environ["HF_TOKEN"] = "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "stripe.api_key = 'sk_test_4eC39HqLyjWDarjtT1zdp7dc'",
    "requests.get(url, auth=('admin', 'P@ssw0rd'), headers={'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='})",
    'token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2M'
    'jM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"',
    "hook = 'https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX'",
    "def cache_key(tenant_id: str, page: int) -> str:\n    return f'tenant:{tenant_id}:page:{page}'",
    "key_pattern = re.compile(r'-----BEGIN (?:RSA )?PRIVATE KEY-----')",
    'pem = """-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"""',
    "model_id: claude-sonnet-5-5-20260901\nrequest_id: 550e8400-e29b-41d4-a716-446655440000",
    "https://storage.example.com/report.csv?sort_key=created_at_2026&token=YOUR_TOKEN_GOES_HERE",
)


def ordinary_replies(number: int) -> list[str]:
    """Replies with code as models write them, each made of other parts, the same ones every time."""
    draw = random.Random(20261129)
    made = []
    for _ in range(number):
        parts = [*draw.sample(SENTENCES, 4), *(f"```python\n{code}\n```" for code in draw.sample(CODE, 5))]
        draw.shuffle(parts)
        name, value = draw.choice(sorted(SETTINGS.items()))
        made.append("\n\n".join((*parts, f"Set `{name}={value}` in `.env`:\n\n```\n{name}={value}\n```\n")))
    return made


def test_usual_settings_alter_no_ordinary_reply() -> None:
    replies = ordinary_replies(200)
    assert len(SETTINGS) == 21
    assert len(set(replies)) == 200

    altered = [reply for reply in replies if without_secrets(reply, SETTINGS) != reply]

    assert altered == []


@pytest.mark.parametrize("name", SETTINGS)
def test_usual_setting_is_no_secret_whose_value_is_replaced(name: str) -> None:
    assert secrets_of({name: SETTINGS[name]}) == ()


def test_usual_settings_alter_no_real_agent_file(corpus: Path) -> None:
    files = sorted((corpus / "real").rglob("*.md"))
    texts = [path.read_bytes().decode("utf-8", "surrogateescape") for path in files]

    assert len(texts) >= 400
    assert [text for text in texts if without_secrets(text, SETTINGS) != text] == []


def drawn(alphabet: str, length: int, *, seed: str) -> str:
    """Random characters of an alphabet, with a letter and a digit among them where it has both."""
    draw = random.Random(seed)
    text = "".join(draw.choice(alphabet) for _ in range(length))
    return text if alphabet.isalpha() or any(c.isdigit() for c in text) else f"{text[:-1]}7"


HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + "234567"
WORDLY = f"{ALNUM}-_"
SHAPES: dict[str, Callable[[Callable[[str, int], str]], str]] = {
    "Anthropic": lambda r: f"sk-ant-api03-{r(WORDLY, 93)}AA",
    "Anthropic admin": lambda r: f"sk-ant-admin01-{r(WORDLY, 93)}AA",
    "Anthropic OAuth": lambda r: f"sk-ant-oat01-{r(WORDLY, 93)}AA",
    "OpenAI": lambda r: f"sk-{r(ALNUM, 48)}",
    "OpenAI project": lambda r: f"sk-proj-{r(WORDLY, 120)}",
    "OpenRouter": lambda r: f"sk-or-v1-{r(HEX, 64)}",
    "DeepSeek": lambda r: f"sk-{r(HEX, 32)}",
    "Groq": lambda r: f"gsk_{r(ALNUM, 52)}",
    "xAI": lambda r: f"xai-{r(ALNUM, 80)}",
    "Perplexity": lambda r: f"pplx-{r(ALNUM, 48)}",
    "Replicate": lambda r: f"r8_{r(ALNUM, 37)}",
    "Hugging Face": lambda r: f"hf_{r(ALNUM, 34)}",
    "Nvidia": lambda r: f"nvapi-{r(WORDLY, 64)}",
    "Google API": lambda r: f"AIza{r(WORDLY, 35)}",
    "Google OAuth": lambda r: f"ya29.{r(WORDLY, 120)}",
    "Google client": lambda r: f"GOCSPX-{r(WORDLY, 28)}",
    "GitHub": lambda r: f"ghp_{r(ALNUM, 36)}",
    "GitHub app": lambda r: f"ghs_{r(ALNUM, 36)}",
    "GitHub fine-grained": lambda r: f"github_pat_{r(ALNUM, 22)}_{r(ALNUM, 59)}",
    "GitLab": lambda r: f"glpat-{r(WORDLY, 20)}",
    "Slack bot": lambda r: f"xoxb-{r(string.digits, 12)}-{r(string.digits, 12)}-{r(ALNUM, 24)}",
    "Slack app": lambda r: f"xapp-1-A{r(UPPER, 10)}-{r(string.digits, 13)}-{r(HEX, 64)}",
    "Slack webhook": lambda r: f"https://hooks.slack.com/services/T{r(UPPER, 10)}/B{r(UPPER, 10)}/{r(ALNUM, 24)}",
    "Discord": lambda r: f"M{r(ALNUM, 23)}.{r(WORDLY, 6)}.{r(WORDLY, 38)}",
    "Discord webhook": lambda r: f"https://discord.com/api/webhooks/{r(string.digits, 18)}/{r(WORDLY, 68)}",
    "Telegram": lambda r: f"1{r(string.digits, 9)}:AA{r(WORDLY, 33)}",
    "AWS": lambda r: f"AKIA{r(UPPER, 16)}",
    "AWS session": lambda r: f"ASIA{r(UPPER, 16)}",
    "AWS secret": lambda r: f'aws_secret_access_key="{r(f"{ALNUM}+/", 40)}"',
    "Azure storage": lambda r: f"AccountKey={r(f'{ALNUM}+/', 86)}==",
    "Azure client": lambda r: f"{r(ALNUM, 3)}8Q~{r(f'{ALNUM}_-~.', 34)}",
    "Stripe": lambda r: f"sk_live_{r(ALNUM, 24)}",
    "Stripe webhook": lambda r: f"whsec_{r(ALNUM, 32)}",
    "Square": lambda r: f"sq0csp-{r(WORDLY, 43)}",
    "Shopify": lambda r: f"shpat_{r(HEX, 32)}",
    "Twilio": lambda r: f"SK{r(HEX, 32)}",
    "Twilio token": lambda r: f"TWILIO_AUTH_TOKEN={r(HEX, 32)}",
    "SendGrid": lambda r: f"SG.{r(WORDLY, 22)}.{r(WORDLY, 43)}",
    "Mailchimp": lambda r: f"{r(HEX, 32)}-us12",
    "Mailgun": lambda r: f"key-{r(HEX, 32)}",
    "npm": lambda r: f"npm_{r(ALNUM, 36)}",
    "PyPI": lambda r: f"pypi-AgEIcHlwaS5vcmc{r(WORDLY, 80)}",
    "Docker": lambda r: f"dckr_pat_{r(WORDLY, 27)}",
    "Databricks": lambda r: f"dapi{r(HEX, 32)}-2",
    "DigitalOcean": lambda r: f"dop_v1_{r(HEX, 64)}",
    "Linear": lambda r: f"lin_api_{r(ALNUM, 40)}",
    "Notion": lambda r: f"secret_{r(ALNUM, 43)}",
    "Airtable": lambda r: f"pat{r(ALNUM, 14)}.{r(HEX, 64)}",
    "Figma": lambda r: f"figd_{r(WORDLY, 40)}",
    "Vault": lambda r: f"hvs.{r(WORDLY, 90)}",
    "Terraform": lambda r: f"{r(ALNUM, 14)}.atlasv1.{r(WORDLY, 67)}",
    "Grafana": lambda r: f"glsa_{r(ALNUM, 32)}_{r(HEX, 8)}",
    "New Relic": lambda r: f"NRAK-{r(UPPER, 27)}",
    "Sentry": lambda r: f"sntryu_{r(HEX, 64)}",
    "Supabase": lambda r: f"sbp_{r(HEX, 40)}",
    "Atlassian": lambda r: f"ATATT3xFfGF0{r(WORDLY, 180)}",
    "age": lambda r: f"AGE-SECRET-KEY-1{r(UPPER, 58)}",
    "web token": lambda r: f"eyJhbGciOiJSUzI1NiJ9.{r(WORDLY, 80)}.{r(WORDLY, 80)}",
    "bearer": lambda r: f"Authorization: Bearer {r(HEX, 32)}",
    "basic": lambda r: f"Authorization: Basic {base64.b64encode(f'me:{r(ALNUM, 12)}'.encode()).decode()}",
    "x-api-key": lambda r: f"x-api-key: {r(HEX, 40)}",
    "X-API-Key in JSON": lambda r: json.dumps({"X-API-Key": r(ALNUM, 40)}),
    "x-api-key assigned": lambda r: f"x-api-key={r(HEX, 40)}",
    "x-api-key in code": lambda r: f"headers['x-api-key'] = '{r(ALNUM, 40)}'",
    "authorization token": lambda r: f"Authorization: Token {r(HEX, 40)}",
    "authorization": lambda r: f"Authorization: {r(ALNUM, 40)}",
    "authorization in code": lambda r: f'req.headers["Authorization"] = "ApiKey {r(ALNUM, 40)}"',
    "token in settings": lambda r: f"auth_token = {r(ALNUM, 40)}",
    "Vault of before": lambda r: f"s.{r(ALNUM, 24)}",
    "cookie without a name": lambda r: f"Cookie: {r(HEX, 32)}",
    "cookie in code": lambda r: f"headers['Cookie'] = 'sid={r(ALNUM, 40)}; theme=dark'",
    "cookie": lambda r: f"Cookie: theme=dark; sessionid={r(HEX, 32)}; lang=en",
    "set-cookie": lambda r: f"Set-Cookie: sid={r(ALNUM, 40)}; HttpOnly; Secure",
    "address": lambda r: f"postgresql://me:{r(ALNUM, 14)}@db.internal/app",
    "signed address": lambda r: f"https://h.example/x?Expires=9&X-Amz-Signature={r(HEX, 64)}",
    "OpenSSH": lambda r: private_key("OPENSSH PRIVATE KEY", r),
    "PKCS8": lambda r: private_key("PRIVATE KEY", r),
    "PGP": lambda r: private_key("PGP PRIVATE KEY BLOCK", r, before="Version: GnuPG v2\nComment: of (me)\n\n"),
    "PuTTY": lambda r: f"Private-Lines: 2\n{r(f'{ALNUM}+/', 64)}\n{r(f'{ALNUM}+/', 64)}\n",
    "LlamaCloud": lambda r: f"llx-{r(ALNUM, 48)}",
    "Helicone": lambda r: f"sk-helicone-{'-'.join(r(f'{string.ascii_lowercase}{string.digits}', 7) for _ in 'four')}",
    "Anyscale": lambda r: f"esecret_{r(f'{string.ascii_lowercase}{string.digits}', 26)}",
    "LangSmith of before": lambda r: f"ls__{r(HEX, 32)}",
    "OpenPipe": lambda r: f"opk_{r(HEX, 42)}",
    "Requesty": lambda r: f"rqsty-sk-{r(f'{ALNUM}+/', 60)}==",
    "Daytona": lambda r: f"dtn_{r(HEX, 64)}",
    "Factory": lambda r: f"fk-{r(ALNUM, 20)}-{r(WORDLY, 43)}",
    "CircleCI project": lambda r: f"CCIPRJ_{r(ALNUM, 22)}_{r(HEX, 40)}",
    "Sourcegraph": lambda r: f"sgd_{r(HEX, 64)}",
    "GitHub app of today": lambda r: f"ghs_1{r(string.digits, 6)}_eyJhbGciOiJSUzI1NiJ9.{r(WORDLY, 80)}.{r(WORDLY, 80)}",
    "Vercel blob": lambda r: f"vercel_blob_rw_{r(ALNUM, 16)}_{r(ALNUM, 30)}",
    "Aiven of today": lambda r: f"aivenv1_{r(WORDLY, 64)}",
    "Xata": lambda r: f"xau_{r(ALNUM, 40)}",
    "Figma app": lambda r: f"figu_{r(WORDLY, 40)}",
    "Razorpay": lambda r: f"rzp_live_{r(ALNUM, 14)}",
    "Alchemy": lambda r: f"alcht_{r(ALNUM, 30)}",
    "SettleMint": lambda r: f"sm_aat_{r(ALNUM, 16)}",
    "Google refresh": lambda r: f"1//0{r(WORDLY, 90)}",
    "Yandex": lambda r: f"t1.{r(WORDLY, 60)}.{r(WORDLY, 86)}",
    "Yandex OAuth": lambda r: f"y0_{r(WORDLY, 55)}",
    "Baidu": lambda r: f"bce-v3/ALTAK-{r(ALNUM, 21)}/{r(HEX, 40)}",
    "Volcengine": lambda r: f"AKLT{r(ALNUM, 43)}",
    "Grafana of before": lambda r: f"eyJrIjoi{r(ALNUM, 80)}",
    "New Relic license": lambda r: f"{r(HEX, 36)}NRAL",
    "MaxMind": lambda r: f"{r(ALNUM, 6)}_{r(ALNUM, 29)}_mmk",
    "Mailgun of today": lambda r: f"{r(HEX, 32)}-{r(HEX, 8)}-{r(HEX, 8)}",
    "Azure DevOps": lambda r: f"{r(ALNUM, 76)}AZDO{r(ALNUM, 4)}",
    "Octopus": lambda r: f"API-{r(string.ascii_uppercase + string.digits, 26)}",
    "AWS context": lambda r: f"ACCA{r(UPPER, 16)}",
    "Discord with a second factor": lambda r: f"mfa.{r(WORDLY, 84)}",
    "GitLab without a digit": lambda r: f"gldt-{r(string.ascii_letters, 20)}",
    "Fireworks": lambda r: f"fw_{r(ALNUM, 22)}",
    "Fireworks of today": lambda r: f"fw_{r(ALNUM, 40)}",
    "Fireworks with a hyphen": lambda r: f"fw-{r(ALNUM, 40)}",
    "Fire Pass": lambda r: f"fpk_{r(ALNUM, 40)}",
    "Together": lambda r: f"tgp_v1_{r(WORDLY, 43)}",
    "Voyage": lambda r: f"pa-{r(WORDLY, 43)}",
    "Jina": lambda r: f"jina_{r(ALNUM, 60)}",
    "ElevenLabs": lambda r: f"sk_{r(HEX, 48)}",
    "Firecrawl": lambda r: f"fc-{r(HEX, 32)}",
    "Bedrock": lambda r: f"ABSKQmVkcm9ja0FQSUtleS{r(ALNUM, 100)}=",
    "Bedrock for hours": lambda r: f"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{r(f'{ALNUM}+/', 300)}==",
    "Gemini": lambda r: f"AQ.Ab8R{r(WORDLY, 46)}",
    "RunPod": lambda r: f"rpa_{r(UPPER, 44)}",
    "E2B": lambda r: f"e2b_{r(HEX, 40)}",
    "Weights & Biases": lambda r: f"wandb_v1_{r(WORDLY, 70)}",
    "Vercel": lambda r: f"vcp_{r(ALNUM, 56)}",
    "Vercel gateway": lambda r: f"vck_{r(ALNUM, 56)}",
    "Cloudflare": lambda r: f"cfut_{r(ALNUM, 48)}",
    "Cloudflare global": lambda r: f"cfk_{r(ALNUM, 48)}",
    "Cloudflare account": lambda r: f"cfat_{r(ALNUM, 48)}",
    "Render": lambda r: f"rnd_{r(ALNUM, 28)}",
    "Neon": lambda r: f"napi_{r(ALNUM, 64)}",
    "Atlas": lambda r: f"mdb_sa_sk_{r(WORDLY, 40)}",
    "Aiven": lambda r: f"AVNS_{r(WORDLY, 19)}",
    "PostHog": lambda r: f"phx_{r(ALNUM, 43)}",
    "Honeycomb": lambda r: f"hcaik_01{r(ALNUM, 56)}",
    "Resend": lambda r: f"re_{r(ALNUM, 8)}_{r(ALNUM, 24)}",
    "Polar": lambda r: f"polar_oat_{r(ALNUM, 43)}",
    "Plaid": lambda r: f"access-production-{uuid(r)}",
    "Slack browser": lambda r: f"xoxc-{r(string.digits, 12)}-{r(string.digits, 12)}-{r(HEX, 64)}",
    "Asana": lambda r: f"2/{r(string.digits, 16)}/{r(string.digits, 16)}:{r(HEX, 32)}",
    "Trello": lambda r: f"ATTA{r(HEX, 64)}",
    "Bitbucket": lambda r: f"ATBB{r(ALNUM, 32)}",
    "ClickUp": lambda r: f"pk_{r(string.digits, 8)}_{r(UPPER, 32)}",
    "GitLab with a route": lambda r: f"glpat-{r(WORDLY, 27)}.01.{r(HEX, 12)}",
    "GitLab flags": lambda r: f"glffct-{r(WORDLY, 20)}",
    "NuGet": lambda r: f"oy2{r(f'{string.ascii_lowercase}{string.digits}', 43)}",
    "dbt": lambda r: f"dbtc_{r(ALNUM, 40)}",
    "Tailscale": lambda r: f"tskey-auth-k{r(ALNUM, 16)}-{r(ALNUM, 32)}",
    "Snyk": lambda r: f"snyk_uat.{r(HEX, 8)}.{r(WORDLY, 60)}",
    "Sonar": lambda r: f"sqp_{r(HEX, 40)}",
    "LaunchDarkly": lambda r: f"sdk-{uuid(r)}",
    "HubSpot": lambda r: f"pat-na1-{uuid(r)}",
    "fal": lambda r: f"FAL_KEY={uuid(r)}:{r(HEX, 32)}",
    "Alibaba": lambda r: f"LTAI{r(ALNUM, 20)}",
    "ClickHouse": lambda r: f"4b1d{r(ALNUM, 38)}",
    "CockroachDB": lambda r: f"CCDB1_{r(ALNUM, 22)}_{r(ALNUM, 40)}",
    "Apify": lambda r: f"apify_api_{r(ALNUM, 36)}",
    "Browserbase": lambda r: f"bb_live_{r(WORDLY, 27)}",
    "Cursor": lambda r: f"crsr_{r(HEX, 64)}",
    "Amp": lambda r: f"sgamp_user_{r(UPPER, 26)}_{r(HEX, 64)}",
    "Zhipu": lambda r: f"{r(HEX, 32)}.{r(ALNUM, 16)}",
    "Azure of today": lambda r: f"{r(ALNUM, 52)}JQQJ9{r(ALNUM, 27)}",
    "Bitwarden": lambda r: f"0.{uuid(r)}.{r(ALNUM, 30)}:{r(ALNUM, 22)}==",
    "1Password": lambda r: f"A3-{r(UPPER, 6)}-{r(UPPER, 11)}-{r(UPPER, 5)}-{r(UPPER, 5)}-{r(UPPER, 5)}",
    "Teams webhook": lambda r: (
        f"https://acme.webhook.office.com/webhookb2/{uuid(r)}@{uuid(r)}/IncomingWebhook/{r(HEX, 32)}/{uuid(r)}"
    ),
    "MailerSend": lambda r: f"mlsn.{r(HEX, 64)}",
    "Amazon login": lambda r: f"amzn1.oa2-cs.v1.{r(HEX, 64)}",
}


def uuid(draw: Callable[[str, int], str]) -> str:
    return "-".join(draw(HEX, length) for length in (8, 4, 4, 4, 12))


def private_key(kind: str, draw: Callable[[str, int], str], *, before: str = "") -> str:
    lines = "\n".join(draw(f"{ALNUM}+/", 64) for _ in range(6))
    return f"-----BEGIN {kind}-----\n{before}{lines}\n-----END {kind}-----"


def keys_of(kind: str) -> Iterator[tuple[str, list[str]]]:
    """Keys of a kind, each drawn anew, with the parts by which it would be known again."""
    for number in range(20):
        parts: list[str] = []

        def draw(alphabet: str, length: int, *, number: int = number, parts: list[str] = parts) -> str:
            parts.append(drawn(alphabet, length, seed=f"{kind} {number} {len(parts)}"))
            return parts[-1]

        yield SHAPES[kind](draw), [part for part in parts if len(part) >= 12]


AROUND = (
    "{}",
    "The key is {}, keep it.",
    "```\nexport X={}\n```",
    '"{}"',
    "({})",
    "| {} |",
    "a\tb {}\n",
    "x='{}';",
    "\x1b[31m{}\x1b[0m",
)


@pytest.mark.parametrize("kind", SHAPES)
def test_key_of_a_vendor_is_taken_out_wherever_it_stands(kind: str) -> None:
    for key, parts in keys_of(kind):
        for around in AROUND:
            text = around.format(key)
            clean = without_secrets(text, {})
            assert REMOVED in clean, text
            assert [part for part in parts if part in clean] == [], text
            assert without_secrets(clean, {}) == clean
        in_json = without_secrets(json.dumps(f"a\n{key}\nb"), {})
        assert [part for part in parts if part in in_json] == [], kind


BEFORE = (
    *(
        "密钥是",
        "clé",
        "ключ",
        "キー",
        "🔑",
        "key：",
        "（",
        "«",
        "a\u200b",
        "\u202e",
        "a\u00a0",
        "a—",
    ),  # of other scripts
    *(
        "x%3D",
        "x%253D",
        "a%20",
        "x=3D",
        "\\u003e",
        "x\\u003d",
        "\\x3e",
        "\\U0000003e",
        "\\075",
        "x&#61;",
        "&quot;",
        "a&nbsp;",
    ),
    *("a\\n", "\\b", "\x1b[01;31m\x1b[K", "\\u001b[01;31m\\u001b[K", "\\e[0m"),
    *("a\n-", "a\n+", "a\\n-", "a\\n_", "a\\n__", "> ", "_", "__", "**", "~~", "`", "\\", "<br>", "](", "a,"),
)
AFTER = (
    *("是我的", "。", "，", "）", "🔑", "»", "\u00a0x", "—x"),
    *("%22", "\\u0022", "&quot;", "&nbsp;x", "\\nx", "\\\nx", "\\"),
    *("é", "ы", "\u200bx", "_", "__", "**", "~~", "`", "](x)", "</b>", ".", ":x", "+x", "@x"),
)
KEPT_AFTER = ("是我的", "。", "，", "\u00a0x", "\\u0022", "\\nx", "\\\nx", "\\", "`")


@pytest.mark.parametrize("kind", SHAPES)
def test_key_is_taken_out_behind_letters_of_any_script_and_behind_escapes(kind: str) -> None:
    for (key, parts), before in product(islice(keys_of(kind), 2), BEFORE):
        clean = without_secrets(f"{before}{key} next", {})

        assert clean.startswith(f"{before.rstrip('_')}"), (before, clean)
        assert REMOVED in clean, (before, key)
        assert [part for part in parts if part in clean] == [], (before, key)
        assert without_secrets(clean, {}) == clean


@pytest.mark.parametrize("kind", SHAPES)
def test_key_is_taken_out_whatever_follows_it(kind: str) -> None:
    for (key, parts), after in product(islice(keys_of(kind), 2), AFTER):
        clean = without_secrets(f"it {key}{after} next", {})

        assert clean.startswith("it "), clean
        assert clean.endswith(" next"), clean
        assert REMOVED in clean, (after, key)
        assert [part for part in parts if part in clean] == [], (after, key)
        if kind != "cookie without a name" and after in KEPT_AFTER:
            assert clean.endswith(f"{after} next"), "what stands behind a key is text"


def cut(key: str, between: str) -> str:
    return between.join(key[start : start + 7] for start in range(0, len(key), 7))


COVERED: dict[str, Callable[[str], str]] = {
    "escapes": lambda key: re.sub(r"([-_.~])", r"\\\1", key),
    "escapes in JSON": lambda key: re.sub(r"([-_.~])", r"\\\\\1", key),
    "blanks without a width": lambda key: cut(key, "\u200b"),
    "joiners": lambda key: cut(key, "\u2060"),
    "soft hyphens": lambda key: key.replace("-", "-\u00ad").replace("_", "_\u00ad"),
    "marks where a line may break": lambda key: cut(key, "<wbr>"),
    "characters by number": lambda key: key.replace("-", "&#45;").replace("_", "&#95;"),
    "characters by number, with zeros": lambda key: key.replace("-", "&#0045;").replace("_", "&#x05F;"),
    "characters by name": lambda key: key.replace("-", "&#X2D;").replace("_", "&UnderBar;").replace("=", "&equals;"),
    "letters by number": lambda key: "".join(f"&#{ord(sign)};" if at % 5 == 0 else sign for at, sign in enumerate(key)),
    "characters of JSON by number": lambda key: cut(key, "\\u200b").replace("_", "\\u005f"),
}
CUTS = (
    *(
        "&#173;",
        "&#xAD;",
        "&#0173;",
        "&shy;",
        "&zwnj;",
        "&zwj;",
        "&NoBreak;",
        "&#8204;",
        "&#x2060;",
        "&#65279;",
        "&lrm;",
    ),
    *("&ZeroWidthSpace;", "&NegativeThinSpace;", "&rlm;", "&#xFEFF;", "&ApplyFunction;"),
    *("<!-- -->", "<!-- a\nb -->", "<b></b>", "<WBR>", "<wbr/>", "<span class='a'></span>", "<i\n></i>", "</x-y>"),
    *("\u3164", "\u115f", "\u180b", "\U000e0100", "\x1b[0m", "\u200b<b></b>&shy;"),
)
COVERED |= {f"cut by {between!r}": partial(cut, between=between) for between in CUTS}


def test_no_character_without_a_width_covers_a_key() -> None:
    no_width = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"]
    key = "ghp_" + drawn_plainly(ALNUM, 36)

    assert len(no_width) > 160
    for sign in no_width:
        assert without_secrets(f"see {key[:14]}{sign}{key[14:]} ok", {}) == f"see {REMOVED} ok", hex(ord(sign))


@pytest.mark.parametrize(
    "text",
    [
        "Use <b>bold</b>text, a&amp;b, x &lt; y, &copy; 2026, and &#39;quotes&#39;.",
        "Map<String, List<Key>>of(token) // <T>identity</T>",
        "soft\u00adhyphens, zero\u200bwidth, \\_escaped\\_, \u202bright to left\u202c",
        "<!-- a comment --> and <!-- one that never ends",
        "| api_key | <code>the&#95;name</code> |",
    ],
)
def test_what_only_could_cover_a_key_stays_as_it_is(text: str) -> None:
    assert without_secrets(text, {}) == text


@pytest.mark.parametrize("cover", COVERED)
def test_key_is_seen_as_a_page_would_show_it(cover: str) -> None:
    for kind in [kind for kind in SHAPES if "PRIVATE" not in SHAPES[kind](drawn_plainly) and kind != "PuTTY"]:
        for key, parts in islice(keys_of(kind), 2):
            clean = without_secrets(f"Kept\\_as it\u200bis.\nit [{COVERED[cover](key)}] next\nKept too", {})

            assert clean.startswith("Kept\\_as it\u200bis.\nit ["), clean
            assert clean.endswith("] next\nKept too"), clean
            assert REMOVED in clean, key
            assert [piece for part in parts for piece in (part[:7], part[-7:]) if piece in clean] == [], (key, clean)


def drawn_plainly(alphabet: str, length: int) -> str:
    return drawn(alphabet, length, seed="plain")


NAMES = (
    *("x-api-key", "X-Api-Key", "X-Auth-Token", "X-Acme-Access-Token", "Private-Token", "Ocp-Apim-Subscription-Key"),
    *("api_key", "apiKey", "API_KEY", "ACME_API_KEY", "authToken", "auth_token", "AUTH_TOKEN", "access-token", "token"),
    *("client_secret", "SECRET_KEY", "signingKey", "db_password", "PGPASSWORD", "webhook_secret", "VAULT_TOKEN_2"),
)
STYLES = (
    *(
        "{n}={v}",
        "{n} = {v}",
        "{n}: {v}",
        "{n}:{v}",
        "{n}='{v}'",
        '{n}="{v}"',
        "{n} = '{v}'",
        '{n} := "{v}"',
        "{n} => '{v}'",
    ),
    *("'{n}': '{v}'", '"{n}": "{v}"', '"{n}":"{v}"', "'{n}' => '{v}'", ':{n} => "{v}"', "{n}=`{v}`", "`{n}`: `{v}`"),
    *("h['{n}'] = '{v}'", 'h["{n}"]="{v}"', 'h.set("{n}", "{v}")', "h.add('{n}','{v}')", '("{n}", "{v}")'),
    *(
        '{n}: str = "{v}"',
        "const {n}: string = '{v}';",
        "curl -H '{n}: {v}' h.example",
        'curl -H "{n}:{v}"',
        "export {n}={v}",
    ),
    *(
        '{{\\"{n}\\": \\"{v}\\"}}',
        '\\\\\\"{n}\\\\\\": \\\\\\"{v}\\\\\\"',
        "{n}:\n  {v}",
        "<{n}>{v}</{n}>",
        "{n}=b'{v}'",
        "- {n}={v}",
    ),
    *(
        "{n}：{v}",
        "**{n}**: {v}",
        "**{n}:** `{v}`",
        "| {n} | {v} |",
        "| `{n}` | `{v}` |",
        "把{n}设为{v}。",
        "{n} → {v}",
    ),
    *("<td>{n}</td><td>{v}</td>", "<tr><th>{n}</th>\n  <td><code>{v}</code></td>", '<input name="{n}" value="{v}">'),
    *("- name: {n}\n  value: {v}", '{{"name": "{n}", "value": "{v}"}}', "{n}: |\n  {v}", "{n}: !!str {v}"),
    *("{{&quot;{n}&quot;: &quot;{v}&quot;}}", "{{&#39;{n}&#39;: &#39;{v}&#39;}}", "%7B%22{n}%22%3A%22{v}%22%7D"),
    *("?next=%2Fv1%3F{n}%3D{v}%26page%3D2", "x\\u0026{n}\\u003d{v}\\u0026y", "#{n}={v}"),
    *("\x1b[32m{n}\x1b[0m: \x1b[33m{v}\x1b[0m", "{n}=\x1b[01;31m\x1b[K{v}\x1b[m\x1b[K", "{n}\u200b=\u200b{v}"),
    *("the {n} is {v}", "set {n} to `{v}`", "ENV {n} {v}", "{n}\t{v}", "--{n} \\\n  {v}", "if {n} == '{v}':"),
    *("-{n}: {v}\n+{n}: x", "{n} = “{v}”", "{n}=${{X:-{v}}}"),
    *("--{n} {v}", "--{n}={v}", "?{n}={v}&page=2", "define('{n}', '{v}');", '$env:{n} = "{v}"', "| {n} | x |\n{n}={v}"),
)
VALUES = (
    ("0123456789abcdef", 32),
    ("0123456789ABCDEF", 40),
    (ALNUM, 24),
    (ALNUM, 40),
    (f"{ALNUM}-_", 43),
    (f"{ALNUM}+/", 44),
)


@pytest.mark.parametrize("style", STYLES)
def test_key_is_taken_out_of_whatever_way_it_is_assigned_in(style: str) -> None:
    left = []
    for name in NAMES:
        for alphabet, length in VALUES:
            for number in range(3):
                value = drawn(alphabet, length, seed=f"{style} {name} {length} {number}")
                text = f"First this.\n{style.format(n=name, v=value)}\nThen that."
                clean = without_secrets(text, {})
                left += [text] * (value in clean)
                assert clean.startswith("First this.\n"), text
                assert clean.endswith("\nThen that."), text
                assert without_secrets(clean, {}) == clean, text
    assert left == []


@pytest.mark.parametrize(
    "text",
    [
        *("Cookie: {}", "Cookie: sid={}; theme=dark", "Set-Cookie: sid={}; Path=/; HttpOnly", '"Cookie": "{}"'),
        *("curl -b 'sid={}' h.example", "curl --cookie sid={} h.example", "document.cookie = 'sid={}'"),
        *("get(url, cookies={{'sid': '{}', 'theme': 'dark'}})", 'cookies = {{"sid": "{}"}}'),
        *("curl -u deploy:{} h.example", "curl --user 'deploy:{}' h.example", "API key: {}", "pass={}", "PWD='{}'"),
        *("Authorization: Token {}", "authorization: {}", "'Authorization': 'ApiKey {}'"),
    ],
)
def test_cookie_or_login_of_a_command_is_taken_out_and_what_stands_around_it_stays(text: str) -> None:
    for alphabet, length in VALUES[:5]:  # a cookie has no slash
        value = drawn(alphabet, length, seed=f"{text} {length}")
        assert without_secrets(text.format(value), {}) == text.format(REMOVED)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "curl -b cookies.txt -c cookies.txt h.example",
            "docker run -u 1000:1000 app",
            "git commit -b feature/new-login",
        ),
        *("curl -u admin:password123 h.example", "get(url, cookies={'theme': 'dark', 'lang': 'en-GB-oxendict'})"),
        *("compass=north-north-west-by-north", "cd $PWD/build && pwd=/home/user/projects/reviewer-agent-2026"),
    ],
)
def test_option_that_is_called_as_one_for_logins_is_text(text: str) -> None:
    assert without_secrets(text, {}) == text


WORDS_FOR_KEYS = (
    *(
        "changeme",
        "not-needed",
        "your-api-key-here",
        "<your key>",
        "${TOKEN}",
        "$TOKEN",
        "{{ token }}",
        "{token}",
        "%s",
    ),
    *(
        "os.environ['API_KEY']",
        "process.env.API_KEY_2",
        "getSecretValueFromTheSecretsManager()",
        "settings.auth_token_v2",
    ),
    *(
        "secrets.token_urlsafe(32)",
        "jwt.encode(payload, key, algorithm='HS256')",
        "sk-ant-...",
        "xxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    *(
        "0.012345678901234567",
        "1.2345678901234e-05",
        "4096",
        "null",
        "true",
        "PKCS7PrivateKeyTypes",
        "DEVOPS_COMPLETE_D9K7",
    ),
    *("sha256", "0123456789abcdef", "whsec_1234567890abcdef", "sk-proj-abc123def456", "claude-sonnet-5-5-20260901"),
)


@pytest.mark.parametrize("style", STYLES)
def test_placeholder_name_or_number_stays_whatever_way_it_is_assigned_in(style: str) -> None:
    for name in NAMES:
        for word in WORDS_FOR_KEYS:
            text = style.format(n=name, v=word)
            assert without_secrets(text, {}) == text


def test_more_than_forty_kinds_of_keys_are_known() -> None:
    assert len(SHAPES) >= 120


def test_no_planted_key_stays_in_an_ordinary_reply() -> None:
    for reply, kind in zip(ordinary_replies(len(SHAPES)), SHAPES, strict=True):
        key, parts = next(keys_of(kind))
        clean = without_secrets(f"{reply}\n\n{key}\n\n{reply}", {})

        assert [part for part in parts if part in clean] == [], kind
        assert clean.startswith(f"{reply}\n\n"), kind
        assert clean.endswith(f"\n\n{reply}"), kind


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-model-v1",
        "fw_model_layers_forward_pass_v2 and fw-4-release-notes-of-2026-for-everyone",
        "jina_embeddings_v2_base_en_for_long_documents and rnd_seed_for_the_experiment_2",
        "re_compile_the_pattern_of_version_2_once and key_of_the_customer_in_the_region_2",
        "test_reads_the_file_of_version_3_again and live_update_of_the_dashboard_page_2",
        "toolu_01A09q90qw90lq917835lq9 msg_01XFDUDYJgAACzvnptvVoYEL req_011CSHoEeqs5C35K2UUqR7Fy",
        "4b1d9f86d081884c7d659a2feaa0c55ad0153ac2 and sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "hf_hub_download_from_repo",
        "npm_config_registry_2 and pypi-simple-index-v2-cached",
        "task-force-and-risk-management-of-2026-q4",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAIOSFODNN7EXAMPLE",
        "secret_manager_client_of_the_production_cluster",
        "Bearer YOUR_ACCESS_TOKEN_GOES_HERE_1",
        "Cookie: session=abc123; theme=dark",
        "x-api-key: <your key>, x-api-key: ${API_KEY}",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "look for -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY----- in files",
        "-----BEGIN PRIVATE KEY-----\nYOUR_PRIVATE_KEY_HERE\n-----END PRIVATE KEY-----",
        "postgresql://{user}:{password}@{host}",
        "postgresql://{{ user }}:{{ password }}@db redis://:<password>@redis mysql://$USER:$PASS@h",
        "https://user:***@h.example postgresql://app:app@db/app",
    ],
)
def test_placeholders_names_and_examples_are_text(text: str) -> None:
    assert without_secrets(text, {}) == text


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ("elephant", False),
        ("tenant_id", False),
        ("OrderCreatedEvent", False),
        ("orders.created.v1", False),
        ("https://idp.example/keys", False),
        ("keys/host.pem", False),
        ("20261129", False),
        ("Tr0ub4dor&3", True),
        ("q7f2vx9k", True),
        ("correct horse battery staple", True),
        ("3f2b8c1e-9d04-47f6-8a11-0c55ad015a3b", True),
        ("XKQJZWPVBNMT", True),
    ],
)
def test_value_of_a_variable_is_a_secret_by_what_it_is(value: str, is_secret: bool) -> None:
    text = f"It says {value} there."

    assert without_secrets(text, {"MY_TOKEN": value}) == (text.replace(value, "[MY_TOKEN]") if is_secret else text)


@pytest.mark.parametrize("before", ["{}=", "{}: ", "{{'{}': '", '{{"{}": "', "{}='"])
@pytest.mark.parametrize("value", ["elephant", "x7Kq"])
def test_word_or_short_value_is_taken_out_where_its_variable_is_shown(value: str, before: str) -> None:
    environment = {"MY_PASSWORD": value}
    shown = f"{before.format('MY_PASSWORD')}{value} and an {value}"

    clean = without_secrets(shown, environment)

    assert clean == f"{before.format('MY_PASSWORD')}[MY_PASSWORD] and an {value}"
    assert without_secrets(clean, environment) == clean


def test_word_in_the_address_of_a_variable_is_taken_out_of_that_address() -> None:
    environment = {"STORE_URL": "postgresql://me:elephant@db.internal/app"}

    assert without_secrets("at postgresql://me:elephant@db.internal/app: an elephant", environment) == (
        "at postgresql://[STORE_URL]@db.internal/app: an elephant"
    )


HOSTILE = {
    "keys that begin in keys": "sk-",
    "keys that begin in other keys": "ghp_sk-ant-xoxb-",
    "tokens in tokens": "eyJ-",
    "tokens with dots": "eyJ.",
    "begins of private keys": "-----BEGIN PRIVATE KEY-----",
    "begins and lines": "-----BEGIN PRIVATE KEY-----\n" + "A1b2" * 16 + "\n",
    "lines of a key that are none": "Private-Lines: 1 ",
    "addresses": "a://b:c",
    "users in addresses": "://a:",
    "keys in addresses": "?key=",
    "more keys in addresses": "?a-",
    "headers": "x-api-key:",
    "cookies": "cookie:",
    "bare cookies": "cookie: a ",
    "cookie pairs": "cookie: a=b;",
    "assigned": "api_key=",
    "assigned with types": "token: str | ",
    "assigned and escaped": 'token\\\\\\"',
    "names of keys": "secret_key_token",
    "options": "--a-a-token ",
    "authorizations": "Authorization: a ",
    "old vaults": "s.abc",
    "cookie values": "cookie: a=",
    "bearers": "Bearer ",
    "basics": "Authorization: Basic ",
    "hooks": "hooks.slack.com/services/",
    "letters": "a",
    "letters and digits": "a1B",
    "hex": "0af",
    "capitals": "M",
    "digits": "1234567890:",
    "dots": "a.",
    "dashes": "-",
    "tildes": "abc8Q~",
    "spaces": " ",
    "names": "aws_secret_key ",
    "azure": "AccountKey=",
    "vaults": "hvs.a",
    "braces": "${",
}


def least_seconds(function: Callable[[str], object], text: str) -> float:
    seconds = []
    for _ in range(3):
        began = time.process_time()
        function(text)
        seconds.append(time.process_time() - began)
    return min(seconds)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("function", [lambda text: without_secrets(text, {}), is_key_like], ids=["taken out", "typed"])
def test_twice_the_text_takes_no_more_than_twice_the_time(function: Callable[[str], object], kind: str) -> None:
    text = HOSTILE[kind] * (50_000 // len(HOSTILE[kind]))

    found = []
    for _ in range(4):  # a busy machine may take longer by chance, a pattern that is not linear each time
        once, twice = least_seconds(function, text), least_seconds(function, text * 2)
        found.append((once, twice))
        if twice < max(3 * once, 0.05) and once < 0.5:
            return
    pytest.fail(f"{found}")
