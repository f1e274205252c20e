"""Keys by the form that a vendor gives them, and how random text is told from words, names and placeholders.

A placeholder (`{user}:{password}@`, "your-api-key-here") and the keys in a vendor's manual are text. Every pattern here
takes time in proportion to the text: where a form begins, all that can belong to it is taken in one possessive step and
judged afterwards, so no place of the text is read many times.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise


class LatePattern:
    """A pattern that is compiled when a text first needs it.

    Most of the forms below need a sign that few texts have, and each start would wait until all are compiled.
    """

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern, self._flags = pattern, flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self._pattern, self._flags)


REMOVED = "[key removed]"
"""What stands in the place of a secret whose name is not known."""
_MARKS_REMOVED = re.compile(r"\[(?:key removed|\w+)\]")


def marks_removed(text: str) -> bool:
    """Whether a secret may have been taken out of the text: `REMOVED` stands in it, or a name in brackets."""
    return _MARKS_REMOVED.search(text) is not None


_STANDS_FOR_MORE = LatePattern(
    r"\{[^{}]*\}|<[\w .-]*>|\[[\w .-]*\]|\A\$\w|\$[({]|%\(|%[sdv](?!\w)"  # of a template
    r"|…|\.\.\.|\*\*\*|xxxx|XXXX|your|Your|YOUR|(?i:example)"  # of a manual
)
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NO_WORD = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
_VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
_LEET = str.maketrans("013457@$!", "oieastasi")
_ROW_OF_DIGITS = "01234567890123456789"
_LONGEST_WORD = 15

_EVERYBODYS = """
a abc abcd abcdef access account acme add admin administrator airflow all allow alpha am amqp an and anon anonymous
any api app apple application are asdf at auth authentication authorization aws azure backend bar base basic bearer
beta bit bits blank broker build by bytes ca cache cat cert certificate change changed changeit changeme char
characters ci class clickhouse client code com config connection cookie core created credential credentials cross csrf
custom dashboard data database db dba debug default demo dev develop developer development disabled django do docker
don dont dragon dummy elastic elasticsearch email empty enabled encryption end env environment event events example
fake false fastapi file fill first flask foo for form frontend generate generated git github gitlab go good grafana
guest hash header hello here hidden hmac home host hs html http https id idempotency if in index info insecure insert
integration internal invalid is it its jwt kafka keep key keyboard keycloak keys language last ldap least length
letmein level lib list lm local localhost log login long machine mail main make manager mariadb master me memory
metadata mine minimum minio mock mode model mongo mongodb monkey must my mysql name needed needs neo never new next
nextcloud nginx no node none not nothing null number oauth of off ollama on one only open openai or oracle order org
os override owner page partition pass passphrase passwd password path pem pg pgpassword php pin placeholder play
please port portal postgres postgresql prefix primary private prod product production project prompt public pwd py
python qa query queue qwerty rabbit rabbitmq rails random read real redis region release remove replace replica
request required reset reviewer role root routing rsa run safe sample sandbox scope script sec secondary secret
secretkey secrets secure security seed self sentry server service session set sha sign signature signing simple site
skip some something sort space spring sql sqlite ssh ssl stage staging stand standard start state static storage store
string strong studio super superadmin superpassword supersecret superuser support system table team temp temporary
tenant test tester testing tests text that the then this time tls to todo token tokens tool top trial true ts type
unit unknown unsafe unset unused up update upload url use used user username users utf value values var variable vault
version very wait was web webhook welcome where with word wordpress work worker world www yes you your zero
"""
"""Words of which placeholders, defaults for development and names in programs are made."""
_WORDS = frozenset(_EVERYBODYS.split())


def is_everybodys(value: str) -> bool:
    """Whether it is a placeholder, or made of words and numbers that everybody uses for one: "changeme", "P@ssw0rd"."""
    if len(set(value)) <= 3 or _STANDS_FOR_MORE.compiled.search(value):
        return True
    plain = value.casefold()
    return _has_words_alone(plain) or _has_words_alone(plain.translate(_LEET))


def _has_words_alone(text: str) -> bool:
    words = _LETTERS.findall(text)
    if sum(map(len, words)) < 2.5 * len(words):  # single letters are between the digits of random text
        return False
    return all(len(number) <= 4 or number in _ROW_OF_DIGITS for number in _DIGITS.findall(text)) and all(
        _is_made_of_words(word) for word in words
    )


@lru_cache(maxsize=4096)
def _is_made_of_words(letters: str) -> bool:
    """Whether `_WORDS` written together make it: "mysecretpassword"."""
    if letters in _WORDS:
        return True
    if len(letters) > 60:
        return False
    ends = {0}  # where a word may end
    for end in range(1, len(letters) + 1):
        if any(end - start >= 2 and letters[start:end] in _WORDS for start in ends):
            ends.add(end)
    return len(letters) in ends


def is_name(value: str) -> bool:
    """Whether it is a word of any language, or some in the form of a name: "elephant", "tenant_id", "OrderCreated".

    Two words may also have a hyphen or a slash between them, and a word may end in a number. What has a space is a
    phrase, and what has a digit within a word is no word.
    """
    if value.isdigit():
        return len(value) <= _LONGEST_WORD
    pieces = [piece.rstrip("0123456789") for piece in re.split(r"[_.:/-]", value)]
    if len(pieces) > 2 and not re.fullmatch(r"[\w.]+", value):
        return False
    if not all(piece.isalpha() for piece in pieces):
        return False
    words = [word for piece in pieces for word in (_CAMEL.findall(piece) if piece.isascii() else [piece])]
    return len("".join(words)) >= 3 * len(words) and all(_is_wordlike(word) for word in words)


def _is_wordlike(word: str) -> bool:
    if len(word) > _LONGEST_WORD:
        return False
    return not word.isascii() or len(word) < 5 or (bool(_VOWEL.search(word)) and not _NO_WORD.search(word))


def is_random(value: str, *, shortest: int = 16) -> bool:
    """Whether a value in the place of a key is one: long enough, no placeholder, and with a piece that is no word."""
    if len(value) < shortest or len(set(value)) <= 3 or _STANDS_FOR_MORE.compiled.search(value):
        return False
    return any(not _is_piece_of_a_name(piece) for piece in re.split(r"[^A-Za-z0-9]+", value))


def _is_piece_of_a_name(piece: str) -> bool:
    """Whether it is a word, a number, or both as names of models and versions have them: "v1", "api03", "70b"."""
    if piece.isdigit():
        return len(piece) <= 10
    if piece.isalpha():
        camel = sum(a.islower() and b.isupper() for a, b in pairwise(piece))
        return len(piece) <= 23 and camel <= len(piece) / 4
    return sum(c.isdigit() for c in piece) <= 4 and changes_of_kind(piece) <= 2 and len(piece) <= 23


def changes_of_kind(text: str) -> int:
    """How often a text changes between letters, digits, capitals and signs; a capital before a small letter is none."""
    kinds = ["A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else "-" for c in text]
    return sum(pair[0] != pair[1] and pair != ("A", "a") for pair in pairwise(kinds))


# Keys by the form that a vendor gives them


@dataclass(frozen=True, kw_only=True)
class _Begin:
    """How keys of some kinds begin, and what follows."""

    texts: str
    shortest: int
    """So many characters follow at least."""
    run: re.Pattern[str]
    is_of_words_too: bool = False
    """Whether names and prose may begin so: then a part that is no word makes the key."""

    def is_key(self, rest: str) -> bool:
        """Whether what follows the beginning makes it a key."""
        if any(known in rest for known in _PUBLISHED) or is_everybodys(rest):
            return False
        if not self.is_of_words_too and len(rest) >= self.shortest and not _is_written_of_words(rest):
            return True
        return is_random(rest, shortest=self.shortest)


def _is_written_of_words(rest: str) -> bool:
    """Whether it is letters alone, of one case or of capitals as far apart as words are long."""
    if any(map(str.isdigit, rest)):
        return False
    letters = "".join(filter(str.isalpha, rest))
    return letters.islower() or letters.isupper() or len(letters) >= 4.5 * len(_FRAGMENTS.findall(letters))


_PLAIN = re.compile(r"[\w-]*+", re.ASCII)
_DOTTED = re.compile(r"[\w-]*+(?:\.[\w-]++)*+", re.ASCII)
_ROUTABLE = re.compile(r"[\w-]*+(?:\.\d\d\.\w{8,}+)?+", re.ASCII)
"""Of GitLab: behind the key, where it leads and a checksum."""
_BASE64 = re.compile(r"[\w+/=.-]*+", re.ASCII)
"""Keys are ASCII: with a letter of another script, what stands around them goes on."""

_OURS = "sk-ant-"
"""The key that is used here is suspected however short it is, where it is no placeholder."""
_BEGINS = (
    _Begin(texts=_OURS, shortest=4, run=_PLAIN),
    _Begin(
        texts="gsk_ xai- pplx- tvly- nvapi- pcsk_ lsv2_pt_ lsv2_sk_ api_org_ tgp_v1_ sk_car_ llx-"
        " sk-helicone-"  # models
        " ghp_ gho_ ghu_ ghr_ github_pat_ wandb_v1_ apify_api_ sgamp_user_ n8n_api_"  # code
        " rubygems_ dckr_pat_ dckr_oat_ CLOJARS_ bkua_ CCIPAT_ CCIPRJ_ lin_api_ lin_oauth_ figd_ PMAK- CFPAT- ATATT"
        " ATCTT ATBB"
        " xoxa- xoxb- xoxc- xoxd- xoxe- xoxp- xoxr- xoxs- xwfp- xapp- sk_live_ sk_test_ rk_live_ rk_test_ whsec_"
        " shpat_ shpss_ shpca_ shppa_ shpua_ shptka_ sq0atp- sq0csp- duffel_live_ duffel_test_ shippo_live_"
        " shippo_test_ polar_oat_ pdl_live_apikey_ pdl_sdbx_apikey_ FLWSECK- FLWSECK_TEST-"
        " APP_USR- os_v2_app_ alcht_"  # talk and money
        " xkeysib- xsmtpsib- dop_v1_ doo_v1_ dor_v1_ HRKU- pscale_tkn_ pscale_pw_ pscale_oauth_ sbp_ sb_secret_"
        " vercel_blob_rw_ aivenv1_ cfut_ cfat_ mdb_sa_sk_ CCDB1_ tskey- dbtc_ dbtu_"  # hosts
        " GOCSPX- NRAK- NRJS- NRII- NRRA- glsa_ sntryu_ hcaik_ hcaic_ hcamk_ AGE-SECRET-KEY-1",  # watching
        shortest=20,
        run=_PLAIN,
    ),
    _Begin(
        texts="glpat- gldt- glrt- glrtr- glptt- glcbt- glimt- glft- glffct- glsoat- glagent- gloas- glwt- GR1348941",
        shortest=20,
        run=_ROUTABLE,
    ),
    _Begin(
        texts="sk- csk- hf_ npm_ pypi- sgp_ ntn_ rdme_ nfp_ npg_ EZAK EZTK AKCp LTAI fw_ fw- tr_dev_ tr_stg_ tr_prod_"
        " bb_live_ bb_test_ esecret_ ls__",
        shortest=20,
        run=_PLAIN,
        is_of_words_too=True,
    ),
    _Begin(
        texts="secret_ secret- aio_ r8_ key- cio pul- ico- pnu_ tfp_ AIza EAA dapi fpk_ fc- ek_ re_ rnd_ BSA dose p8e-"
        " cal_live_ AKID",
        shortest=28,
        run=_PLAIN,
        is_of_words_too=True,
    ),
    _Begin(
        texts="vcp_ vci_ vca_ vcr_ vck_ cfk_ rpa_ e2b_ jina_ pa- sess- sk_ key_ phx_ phs_ napi_ crsr_ sqp_ squ_ sqa_"
        " AQVN sdk- pat-na1- pat-eu1- access-production- access-sandbox- sec-c- signkey-prod- s-s4t2ud- fio-u- essu_"
        " ATTA opk_ dtn_ sgd_ xau_ pnb_ figu_ al- y0_ AKLT fk-",
        shortest=36,
        run=_PLAIN,
        is_of_words_too=True,
    ),
    _Begin(
        texts="ghs_ WPL_AP1. ya29. SG. hvs. hvb. hvr. xoxe. dp.pt. dp.st. dp.ct. dp.sa. dt0c01. snyk_uat. snyk_sat."
        " mlsn. amzn.mws. amzn1.oa2-cs.v1.",
        shortest=20,
        run=_DOTTED,
    ),
    _Begin(texts="AQ. mfa. t1.", shortest=40, run=_DOTTED, is_of_words_too=True),
    _Begin(texts="pat cmVmdGtuO", shortest=54, run=_DOTTED, is_of_words_too=True),
    _Begin(texts="rzp_live_ rzp_test_ sm_aat_ sm_pat_ sm_sat_", shortest=14, run=_PLAIN),
    _Begin(texts="rqsty-sk- bce-v3/ALTAK- eyJrIjoi 1//0", shortest=50, run=_BASE64),
    _Begin(texts="AVNS_", shortest=16, run=_PLAIN),
    _Begin(texts="IGQV IGAA", shortest=100, run=_PLAIN, is_of_words_too=True),
    _Begin(texts="ABSK bedrock-api-key-", shortest=100, run=_BASE64, is_of_words_too=True),
    _Begin(texts="sl. st. v1.0-", shortest=100, run=_DOTTED, is_of_words_too=True),
    _Begin(texts="fm1_ fm2_ fo1_ sntrys_ glc_ ops_eyJ sha256~", shortest=40, run=_BASE64),
)
_BY_BEGIN = tuple(
    sorted(
        ((text, begin) for begin in _BEGINS for text in begin.texts.split() if text != _OURS),
        key=lambda one: -len(one[0]),
    )
)
"""The longest first: one may stand within another, and takes less (`rqsty-sk-`, `sk-`)."""

_SHORTEST_KEY = 20
_SHORTEST_VALUE = 16
"""What stands behind the name of a key is no shorter, but for a login."""
_ENDS_OF_ESCAPES = (
    r"\\[abefnrtv0]|[\d\[]m|\[[HJK]",  # of JSON, shells and programs; of terminals
    r"[%=\[][\dA-Fa-f][\dA-Fa-fHJK]",  # of addresses, mail and terminals
    r"\\[x0-7][\dA-Fa-f]{2}",
    r"%25[\dA-Fa-f]{2}",  # of an address within another
    r"\\u[\dA-Fa-f]{4}",
    r"\\U[\dA-Fa-f]{8}",
)
"""Each ends in a letter or a digit, and yet no word goes on behind it. By their lengths, as a look back needs them."""
_AFTER_ESCAPE = "|".join(f"(?<={end})" for end in _ENDS_OF_ESCAPES)
_ANEW = rf"(?:(?<![A-Za-z0-9])|{_AFTER_ESCAPE})"
"""Where a key may begin. An underscore before it may be Markdown's, or a part of a name. What it begins with is asked
first where that is known: to look back takes longer."""
_BEGINS_ANEW = LatePattern(_ANEW)
_OF_MARKUP = r"(?<=~~)|(?<=\A__)|(?<=\W__)|(?<=\A_)|(?<=\W_)|(?<=\A-)|(?<=\n-)|(?<=\\n-)|(?<=\\n_)|(?<=\\n__)"
_APART = rf"(?:(?<![A-Za-z0-9_.~-])|{_OF_MARKUP}|{_AFTER_ESCAPE})"
"""Where a key may begin that has such signs in it: they may be Markdown's, or the minus of a line which a diff takes
out."""
_ENDS = "(?![A-Za-z0-9])"
_ENDS_APART = "(?![._~-]{0,2}+[A-Za-z0-9])"
_SPACES = r"(?:\s{1,3}|%20|\+|&nbsp;)"
_QUOTES = (
    r"(?:[\"'`*“”‘’]|\\(?![ux])|&(?:quot|apos|#(?:34|39|x22|x27));|%2[27]|\\[ux](?:00)?2[27]"
    r"|(?:\x1b|\\u001b|\\x1b|\\033|\\e)\[[\d;]{0,9}m(?:(?:\x1b|\\u001b|\\x1b|\\033|\\e)\[K)?){0,8}+"
)
"""Around a name or a value, once or more often escaped, with what makes it bold or colours it."""
_CODED = r"%(?:25)?3[ADad]|\\[ux](?:00)?3[ADad]|&#(?:58|61|x3[ADad]);"
"""A colon or an equals sign, as an address, a program or a page spells it."""
_SAYS = (
    _QUOTES + r"\]?\s{0,3}+(?::\s{0,3}[A-Za-z][\w.\[\] |]{0,30}?\s{0,3}(?==)|\.to_string\(\))?"
    r"(?:,?\s{0,20}+[\"']?value[\"']?\s{0,3}[:=]"  # `name: X` above `value: v`, and attributes of elements
    rf"|=>|->|:=|==|[:=,|]|{_CODED}|[\u2e80-\uffef]{{1,4}}|→"
    r"|(?:</\w{1,9}>){1,2}\s{0,20}+(?:<\w{1,9}[^<>]{0,60}+>){1,3}+)"  # cells of a table on a page
    r"(?:\s|%20|&nbsp;|\\u00a0){0,3}+(?:[|>][+-]?\s{1,9}+|!!?\w{1,9}\s{1,3}+|\$\{\w{1,40}:-|[bfru](?=[\"']))?"
    + _QUOTES
    + r"\s{0,9}+"
    + _QUOTES
)
"""What stands between the name of a header or a setting and its value, in code, JSON, settings, addresses and tables:
`x: v`, `x=v`, `h['x'] = 'v'`, `h.set("x", "v")`, `:x => "v"`, `X: str = "v"`, `| x | v |`."""
_SAYS_LOOSELY = rf"(?:{_SAYS}|{_QUOTES}[ \t]{{1,3}}(?:(?:is|to|was)[ \t:]{{1,3}})?(?:\\\n[ \t]{{0,9}})?{_QUOTES})"
"""Or nothing but a blank or a short word: `--x v`, `password is v`."""
_STOPS = r"\s\"'`,;&<>\\“”‘’„«»—\u2e80-\uffef\U0001f000-\U0001faff"
"""No value goes on at a quote, at markup, or where text of a script begins that has no spaces."""
_CODED_STOP = r"(?!%(?:25)?(?:2[0267C]|[57]D|0[AD]|3B))"
"""The same, as an address spells it."""

_MAY_BEGIN = re.compile(r"(?<![GIL-Zg-lo-qsuw-z])(?=(...))", re.DOTALL)
"""Three signs wherever a key may begin anew: behind every sign but the letters in which no escape ends."""
_FIRST_SIGNS = frozenset(text[:3] for text, _ in _BY_BEGIN)
_LONG_RUN = re.compile(r"[\w-]{20}|Q~")
"""What each of the forms below has in it."""

_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_UNMARKED = tuple(
    (tuple(signs.split()), LatePattern(pattern, re.ASCII))
    for signs, pattern in (
        ("KIA SIA BIA ACCA", "(?=A[KSBC])" + _ANEW + r"A(?:[KSB]I|CC)A[A-Z0-9]{16}" + _ENDS),  # AWS
        ("AC SK", "(?=AC|SK)" + _ANEW + r"(?:AC|SK)[0-9a-f]{32}" + _ENDS),  # Twilio
        (".", "(?=[MNO])" + _APART + r"[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40}" + _ENDS_APART),  # Discord
        (":", _ANEW + r"\d{8,10}:[A-Za-z][\w-]{34}" + _ENDS_APART),  # Telegram
        ("-", _ANEW + r"[0-9a-f]{32}-(?:us\d{1,2}|[0-9a-f]{8}-[0-9a-f]{8})" + _ENDS_APART),  # Mailchimp, Mailgun
        ("NRAL", _ANEW + r"[0-9a-f]{36}NRAL" + _ENDS),  # New Relic
        ("_mmk", _ANEW + r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk" + _ENDS),  # MaxMind
        ("AZDO", _ANEW + r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}" + _ENDS),  # Azure DevOps
        ("API-", "(?=API-)" + _ANEW + r"API-[A-Z0-9]{26}" + _ENDS),  # Octopus
        (".atlasv1.", _ANEW + r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}+"),  # Terraform
        ("Q~", _APART + r"[\w~.-]{3}\dQ~[\w~.-]{31,34}" + _ENDS_APART),  # Azure
        ("JQQJ9", _ANEW + r"[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27}" + _ENDS),  # Azure, since 2024
        (":", _ANEW + r"[12]/\d{12,20}(?:/\d{12,20})?:[0-9a-f]{32}" + _ENDS),  # Asana
        ("pk_", "(?=pk_)" + _ANEW + r"pk_\d{6,9}_[A-Z0-9]{32}" + _ENDS),  # ClickUp
        ("oy2", "(?=oy2)" + _ANEW + r"oy2[a-z0-9]{43}" + _ENDS),  # NuGet
        ("4b1d", "(?=4b1d)" + _ANEW + r"4b1d(?=[a-z0-9]{0,37}[A-Z])[A-Za-z0-9]{38}" + _ENDS),  # ClickHouse
        ("live_ test_", _ANEW + r"(?:live|test)_[0-9a-f]{35}" + _ENDS),  # Lob
        (".", _ANEW + r"[0-9a-f]{32}\.(?=[a-zA-Z]{0,15}\d)(?=[a-z0-9]{0,15}[A-Z])[A-Za-z0-9]{16}" + _ENDS),  # Zhipu
        (":", _ANEW + rf"{_UUID}:[0-9a-f]{{32}}" + _ENDS),  # fal
        ("0.", _ANEW + rf"0\.{_UUID}\.[A-Za-z0-9]{{30}}:[\w+/]{{22}}=="),  # Bitwarden
        ("A3-", "(?=A3-)" + _ANEW + r"A3-[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3}" + _ENDS),  # 1Password
        ("ak- as-", _ANEW + r"a[ks]-(?=[a-zA-Z]{0,21}\d)(?=[a-z0-9]{0,21}[A-Z])[A-Za-z0-9]{22}" + _ENDS_APART),  # Modal
    )
)
"""Forms that no beginning of their own tells, each behind what a text holds in which it can be."""
_NAMED = LatePattern(
    r"((?:aws_?secret_?(?:access_?)?key|aws_?session_?token|twilio_?auth_?token)\W{1,6}+)([A-Za-z0-9/+=]{32,}+)",
    re.IGNORECASE,
)
_AZURE_KEY = LatePattern("((?=Account|Shared)" + _ANEW + r"(?:Account|SharedAccess)Key=)([\w+/=%]{30,}+)", re.ASCII)
_HOOK = LatePattern(
    r"((?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks"
    r"|webhook\.office\.com/webhookb2)/)([\w/@-]*+)",
    re.ASCII,
)
_HEADER = LatePattern(
    f"((?=[xgapvfo]){_ANEW}"
    r"(?:x-)?(?:goog-)?(?:api-key|auth-token|access-token|private-token|vault-token|functions-key"
    rf"|ocp-apim-subscription-key){_SAYS_LOOSELY})"
    rf"((?:{_CODED_STOP}[^{_STOPS}])*+)",
    re.IGNORECASE,
)
_NAMES_KEY = (
    r"(?:(?:api|auth|secret|access|signing|encryption|private|master|service|account|webhook|subscription)[_ -]?key"
    r"|secret|token|passw(?:or)?d|passphrase|pass|pwd|credentials?)(?:_?\d{1,2})?"
)
_ASSIGNED = LatePattern(
    rf"({_NAMES_KEY}(?:>|{_SAYS_LOOSELY}))"
    rf"((?:{_CODED_STOP}[^(){{}}\[\]{_STOPS}])*+)",
    re.IGNORECASE,
)
_AUTHORIZATION = LatePattern(
    f"((?=proxy-|auth){_ANEW}(?:proxy-)?authorization{_SAYS}" + r"(?!basic\b)(?:[a-z][\w-]{1,30}" + _SPACES + r")?)"
    rf"((?:{_CODED_STOP}[^{_STOPS}])*+)",
    re.IGNORECASE,
)
_NAMES_OF_VALUES = (
    (_HEADER, {"key": 29, "token": 15}),
    (_AUTHORIZATION, {"authorization": 6}),
    (_ASSIGNED, {"key": 35, "secret": 22, "token": 22, "pass": 22, "pwd": 22, "credential": 22}),
)
"""Each with what is in all its names, in small letters, and at most how far behind the begin of what is found."""
_WORDS_OF_VALUES = re.compile(r"[^\s\"'`,;&<>\\(){}\[\]=:]{16,}+")
_RUNS = re.compile(r"[A-Za-z0-9]{8,}+")
_NOT_SMALL = re.compile(r"[^a-z\W_]")
"""A letter or digit other than the small letters, of which alone no random text is made."""
_MAY_BE_KEY = re.compile(rf"{_NOT_SMALL.pattern}|[a-z]{{24}}")
"""What a word has that is a key by its form: small letters are one where no word is as long."""
_HASH = re.compile(r"[0-9a-f]{32,64}")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_FRAGMENTS = re.compile(rf"{_CAMEL.pattern}|\d+|[A-Z]+")
_NUMBER = LatePattern(r"[\d.+-]++(?:e[+-]?\d+)?")
_VAULT = LatePattern(rf"((?=[sbr]\.){_APART})" + r"([sbr]\.[A-Za-z0-9]{24}(?:\.[A-Za-z0-9]{5})?)" + _ENDS_APART)
_LOGIN_OF_COMMAND = LatePattern(rf"((?<!\S)(?:-u|--user)[= ]\s{{0,3}}+{_QUOTES}[\w.@-]{{1,60}}:)([^{_STOPS}]*+)")
_COOKIE_OF_COMMAND = LatePattern(rf"((?<!\S)(?:-b|--cookie)[= ]\s{{0,3}}+{_QUOTES})([^\"'`\r\n\\]*+)")
_COOKIES = LatePattern(r"(cookies\s{0,3}+[=:]\s{0,3}+\{)([^{}]*+)(?=\})", re.IGNORECASE)
_QUOTED_VALUE = LatePattern(r"(:\s{0,3}+[\"'])([^\s\"']*+)")
_COOKIE = LatePattern(f"((?=set-|cook){_ANEW}(?:set-)?cookie{_SAYS})" + r"([^\"'`\r\n\\]*+)", re.IGNORECASE)
_COOKIE_VALUE = LatePattern(r"(\A|=)([^;\s=]*+(?![^;\s]*=)|(?<==)[^;\s]*+)")
_OF_COOKIES = ((_COOKIE, _COOKIE_VALUE), (_COOKIE_OF_COMMAND, _COOKIE_VALUE), (_COOKIES, _QUOTED_VALUE))
"""Where cookies stand, and which of what stands there are their values."""
_NAMES_OF_COOKIES = ("ookie", "OOKIE")
_SIGNS_OF_COOKIES = (*_NAMES_OF_COOKIES, " -b")
_BEARER = LatePattern(f"()(?=bear){_ANEW}bearer{_SPACES}" + r"([a-z0-9_.~+/=-]*+)", re.IGNORECASE)
_BASIC = LatePattern(f"()(?=auth){_ANEW}authorization{_SAYS}basic{_SPACES}" + r"([a-z0-9_+/=-]*+)", re.IGNORECASE)
_TOKEN = LatePattern(f"((?=eyJ){_ANEW})" + r"(eyJ[\w-]*+(?:\.[\w-]++)*+)", re.ASCII)
_USER_IN_ADDRESS = LatePattern(
    r"(?<=://)(?P<user>[^/\s:@\"'<>]*+):(?P<password>[^/\s@\"'<>]++)(?=@)|(?<=://)(?P<key>[\da-z]{32,}+)(?=@)"
)
KEY_IN_ADDRESS = LatePattern(
    r"(?i)((?:[?&;#]|%(?:25)?(?:3F|26|23)|\\[ux](?:00)?(?:3F|26|23))(?:[a-z-]{1,40}[_-])?"
    r"(?:api_?key|key|token|secret|password|signature|sig)(?:=|%(?:25)?3D|\\[ux](?:00)?3D))"
    rf"((?:{_CODED_STOP}[^#\[\]{{}}$?{_STOPS}])*+)"
)
_PRIVATE = LatePattern(r"-{2,5}BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|Private-Lines: \d{1,4}")
"""With fewer dashes, too: Claude Code ends a header at three, and takes the rest for the begin of a prompt."""
_MATERIAL = LatePattern(r"(?:[\w+/=\s\\:,.()@]|-(?!----))*+")
_PRIVATE_END = LatePattern(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_LINES = LatePattern(r"(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{16,}+)*+")
_BASE64_LINE = LatePattern(r"[A-Za-z0-9+/=]{16,}+")

_PUBLISHED = ("4eC39HqLyjWDarjtT1zdp7dc", "BQokikJOvBiI2HlWgH4olfQ2")
"""Keys that stand in a vendor's own manual for everybody to try, without saying so."""
_KNOWN_PASSWORDS = ("pass", "password", "passwd", "secret", "open sesame", "")


def without_known_forms(text: str) -> str:
    """The text without what has the form of a known kind of key.

    Cheap questions come first, for most texts hold none: no form but that of `_OURS` fits into a short word, and a
    report asks of each of its texts.
    """
    if _HASH.fullmatch(text):  # no form is of these letters alone, and every trial has such a key
        return text
    words = text.split()
    longest = max(map(len, words), default=0)
    if _OURS in text:
        text = _without_keys_that_begin(text, _OURS, _BEGINS[0])
    if longest >= _SHORTEST_KEY:
        dense = [word for word in words if len(word) >= _SHORTEST_KEY and _MAY_BE_KEY.search(word)]
        text = _without_dense_keys(text, dense) if dense else text
    for marks, pattern, is_key in _FORMS if longest >= _SHORTEST_VALUE else _LOGINS:
        for mark in marks:
            if mark in text:
                text = pattern.compiled.sub(_replacing(is_key), text)
                break
    if longest >= _SHORTEST_VALUE and any(map(_has_jumbled, _WORDS_OF_VALUES.findall(text))):
        text = _without_assigned(text)
    if any(sign in text for sign in _SIGNS_OF_COOKIES):
        for cookies, value in _OF_COOKIES:
            text = cookies.compiled.sub(_without_values(value), text)
    if "://" in text and "@" in text:
        text = _USER_IN_ADDRESS.compiled.sub(_without_password, text)
    return without_private_keys(text)


def places_of_keys(text: str) -> Iterator[int]:
    """Where a text has a word or a sign without which no key is in that line or the two beside it, in no order; but for
    private keys and blocks of cookies, which take several lines."""
    long = [word for word in dict.fromkeys(text.split()) if len(word) >= _SHORTEST_VALUE and _MAY_BE_KEY.search(word)]
    dense = " ".join([word for word in long if len(word) >= _SHORTEST_KEY])
    is_any = _without_dense_keys(dense, dense.split(" ")) != dense
    words = long if is_any else [word for word in long if any(map(_has_jumbled, _WORDS_OF_VALUES.findall(word)))]
    return places_of((*words, *_SIGNS, *_SIGNS_OF_COOKIES), text)


def has_block_of_cookies(text: str) -> bool:
    """Whether cookies may stand on more lines than those beside their name."""
    return any(sign in text for sign in _NAMES_OF_COOKIES) and _COOKIES.compiled.search(text) is not None


def places_of(signs: Iterable[str], text: str) -> Iterator[int]:
    """Where these stand in a text, sign by sign."""
    for sign in signs:
        place = text.find(sign)
        while place >= 0:
            yield place
            place = text.find(sign, place + 1)


def _without_dense_keys(text: str, words: Sequence[str]) -> str:
    """The text without the keys that fill a word; `words` are its long ones."""
    dense = " ".join(words)
    first_signs = _FIRST_SIGNS.intersection(_MAY_BEGIN.findall(dense))
    for begin, kind in _BY_BEGIN if first_signs else ():
        if begin[:3] in first_signs and begin in dense:
            text = _without_keys_that_begin(text, begin, kind)
    runs = [word for word in words if _LONG_RUN.search(word)]
    for signs, form in _UNMARKED:
        # A report has very many long words, and few of them a sign.
        suspects = " ".join([word for word in runs if any(sign in word for sign in signs)])
        if suspects and form.compiled.search(suspects):
            text = form.compiled.sub(
                lambda found: found[0] if _STANDS_FOR_MORE.compiled.search(found[0]) else REMOVED, text
            )
    return text


def _without_assigned(text: str) -> str:
    """The text without random values under the name of a header or a setting."""
    for pattern, names in _NAMES_OF_VALUES:
        text = _replaced_at(names, pattern.compiled, _replacing(_is_assigned), text)
    if "-u" in text:
        text = _LOGIN_OF_COMMAND.compiled.sub(_replacing(_is_assigned), text)
    return _VAULT.compiled.sub(_replacing(_is_vault_token), text)


def _replaced_at(
    names: Mapping[str, int], pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str
) -> str:
    """As `pattern.sub`, tried only where one of these names stands, or at most so many characters before it: a pattern
    in which capitals do not count would be tried at every letter of a text."""
    plain = _in_small_letters(text)
    if len(plain) != len(text):
        return pattern.sub(replace, text)
    kept: list[str] = []
    done = tried = 0
    for at, before in sorted((at, before) for name, before in names.items() for at in places_of((name,), plain)):
        for start in range(max(tried, at - before), at + 1):
            found = pattern.match(text, start)
            if found is not None:
                kept += (text[done:start], replace(found))
                done = tried = found.end()
                break
        else:
            tried = max(tried, at + 1)
    return "".join((*kept, text[done:])) if kept else text


def _in_small_letters(text: str) -> str:
    """As a pattern reads it in which capitals do not count; of another length where a letter has no small one."""
    return text.lower().replace("ſ", "s").replace("ı", "i")


def may_hold_key(text: str) -> bool:
    """Whether it holds such a key, or what only looks like one: a manual's, or any password in an address."""
    forms = (*(form for _, form in _UNMARKED), _USER_IN_ADDRESS, _PRIVATE)
    return any(form.compiled.search(text) for form in forms) or without_known_forms(text) != text


def _without_keys_that_begin(text: str, begin: str, kind: _Begin) -> str:
    kept: list[str] = []
    done, start = 0, text.find(begin)
    while start >= 0:
        rest = end = start + len(begin)
        if _begins_anew(text, start, after_underscore=not kind.is_of_words_too):
            # What begins within this run is judged with it: else a long run would be read again from each place.
            end = kind.run.match(text, rest).end()  # type: ignore[union-attr]  # it matches the empty text too
            if kind.is_key(text[rest:end]):
                kept += (text[done:start], REMOVED)
                done = end
        start = text.find(begin, end)
    return "".join((*kept, text[done:])) if kept else text


def _begins_anew(text: str, start: int, *, after_underscore: bool) -> bool:
    if not after_underscore:
        while start and text[start - 1] == "_":  # of Markdown, unless a name goes on behind them
            start -= 1
    return _BEGINS_ANEW.compiled.match(text, start) is not None


def _replacing(is_key: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{found[1]}{REMOVED}" if is_key(found[2]) else found[0]


def _without_values(value: LatePattern) -> Callable[[re.Match[str]], str]:
    return lambda found: found[1] + value.compiled.sub(_replacing(is_random), found[2])


def _is_web_token(text: str) -> bool:
    """Whether it has the two or three parts of a JSON Web Token; the one in everybody's manual is text."""
    parts = text.split(".")
    if len(parts) < 2 or any(len(part) < 11 for part in parts[:1]) or len(parts[1]) < 8:
        return False
    return "John Doe" not in _decoded(parts[1])


def _is_login(text: str) -> bool:
    """Whether base64 in a header holds more than the user and password of a manual."""
    return len(text) >= 8 and _decoded(text).partition(":")[2].casefold() not in _KNOWN_PASSWORDS


def _decoded(text: str) -> str:
    """Base64 as text; of what is none, the text itself."""
    digits = text.replace("+", "-").replace("/", "_").rstrip("=")
    if len(digits) % 4 == 1:  # which nothing has in base64: the last one is a sign behind it
        digits = digits[:-1]
    try:
        return base64.urlsafe_b64decode(digits + "==").decode("latin-1")
    except (binascii.Error, ValueError):
        return text


def _without_password(found: re.Match[str]) -> str:
    if found["key"]:
        return found[0] if found["key"].isalpha() else REMOVED
    user, password = found["user"], found["password"]
    is_text = is_everybodys(password) or password == user or (password.isalpha() and is_name(password))
    return found[0] if is_text else REMOVED


def without_private_keys(text: str) -> str:
    """The text without the lines of private keys, with line breaks as they are or as JSON spells them.

    No more goes than the lines themselves where the end of a key is missing, and talk about such lines stays.
    """
    if "PRIVATE KEY" not in text and "Private-Lines:" not in text:
        return text
    kept: list[str] = []
    done, stop, end = 0, -1, None
    for begin in _PRIVATE.compiled.finditer(text):
        if begin.start() < done:
            continue
        if begin.end() > stop:
            stop = _MATERIAL.compiled.match(text, begin.end()).end()  # type: ignore[union-attr]  # it matches the empty text
            end = _PRIVATE_END.compiled.match(text, stop)
        elif end:
            continue  # it lies in what an earlier one began, up to the same end, and there was no line of a key
        until = end.end() if end else _LINES.compiled.match(text, begin.end()).end()  # type: ignore[union-attr]
        lines = _BASE64_LINE.compiled.findall(text, begin.end(), until)
        if any(len(set(line)) > 3 for line in lines):
            kept += (text[done : begin.start()], REMOVED)
            done = until
    return "".join((*kept, text[done:])) if kept else text


def _is_long(value: str) -> bool:
    """Whether a value under the name of a key is one: what the name says need not look random."""
    return len(value) >= 30 and len(set(value)) > 3 and not _STANDS_FOR_MORE.compiled.search(value)


def _is_assigned(value: str) -> bool:
    """Whether a value under such a name is a key, and not the name of a function, a version or a number."""
    if len(value) < 16 or value.startswith("eyJ") or _NUMBER.compiled.fullmatch(value):
        return False
    if any(known in value for known in _PUBLISHED) or is_everybodys(value):
        return False
    return (is_random(value) and _has_jumbled(value)) or _is_jumbled_throughout(value)


def _is_jumbled_throughout(value: str) -> bool:
    """Whether it is random text of which signs happen to make pieces that are each short enough for a name."""
    letters = "".join(filter(str.isalnum, value))
    return len(letters) >= 32 and len(letters) < 2.75 * len(_FRAGMENTS.findall(letters))


def _has_jumbled(value: str) -> bool:
    """Whether a part of it is random text, or all of it is, were it not for the signs in it."""
    if not _NOT_SMALL.search(value):
        return False
    if any(map(_is_jumbled, _RUNS.findall(value))):
        return True
    letters = "".join(filter(str.isalnum, value))
    return len(letters) >= 24 and len(letters) <= 4 * len(_FRAGMENTS.findall(letters))


def _is_jumbled(run: str) -> bool:
    """Whether letters and digits change as they do in random text, where names are made of words."""
    if _HEX.fullmatch(run) and not run.isalpha():
        return len(run) >= 24 or len(_FRAGMENTS.findall(run)) > len(run) / 3
    longest = 2.0 if run.isalpha() else 3.0 if len(run) < 16 else 3.5  # of a fragment, on average
    return len(run) < longest * len(_FRAGMENTS.findall(run))


def _is_vault_token(value: str) -> bool:
    return changes_of_kind(value) >= 6


_FORMS: tuple[tuple[tuple[str, ...], LatePattern, Callable[[str], bool]], ...] = (
    (("aws", "AWS", "Aws", "wilio", "WILIO"), _NAMED, _is_long),
    (("ountKey=", "cessKey="), _AZURE_KEY, _is_long),
    (("hooks.slack", "webhooks/", "webhookb2/"), _HOOK, is_random),
    (("earer", "EARER"), _BEARER, is_random),
    (("asic", "ASIC"), _BASIC, _is_login),
    (("eyJ",), _TOKEN, _is_web_token),
    (("://", "%3A%2F%2F", "%3a%2f%2f"), KEY_IN_ADDRESS, is_random),
)
"""What a text with such a key holds in any case, where the key stands (its second group), and whether it is one."""
_LOGINS = tuple(form for form in _FORMS if form[2] is _is_login)
_SIGNS = (_OURS, *(mark for marks, _, _ in _FORMS for mark in marks))
"""Beside one of these stands what is a key of those forms."""
