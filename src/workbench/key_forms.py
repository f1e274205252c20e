"""Keys by the form that a vendor gives them, and how random text is told from words, names and placeholders.

A placeholder (`{user}:{password}@`, "your-api-key-here") and the keys in a vendor's manual are text. Every pattern here
takes time in proportion to the text: where a form begins, all that can belong to it is taken in one possessive step and
judged afterwards, so no place of the text is read many times.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

REMOVED = "[key removed]"
"""What stands in the place of a secret whose name is not known."""

_STANDS_FOR_MORE = re.compile(
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
    if len(set(value)) <= 3 or _STANDS_FOR_MORE.search(value):
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
    if len(value) < shortest or len(set(value)) <= 3 or _STANDS_FOR_MORE.search(value):
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
        if not self.is_of_words_too and len(rest) >= self.shortest and any(c.isdigit() for c in rest):
            return True
        return is_random(rest, shortest=self.shortest)


_PLAIN = re.compile(r"[\w-]*+")
_DOTTED = re.compile(r"[\w-]*+(?:\.[\w-]++)*+")
_BASE64 = re.compile(r"[\w+/=.-]*+")

_OURS = "sk-ant-"
"""The key that is used here is suspected however short it is, where it is no placeholder."""
_BEGINS = (
    _Begin(texts=_OURS, shortest=4, run=_PLAIN),
    _Begin(
        texts="gsk_ xai- pplx- tvly- nvapi- pcsk_ lsv2_pt_ lsv2_sk_ api_org_"  # models
        " ghp_ gho_ ghs_ ghu_ ghr_ github_pat_ glpat- gldt- glrt- glptt- glcbt- glimt- glft- glsoat- glagent-"  # code
        " rubygems_ dckr_pat_ dckr_oat_ CLOJARS_ bkua_ CCIPAT_ lin_api_ lin_oauth_ figd_ PMAK- CFPAT- ATATT ATCTT"
        " xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp- sk_live_ sk_test_ rk_live_ rk_test_ whsec_"  # talk and money
        " shpat_ shpss_ shpca_ shppa_ sq0atp- sq0csp- duffel_live_ duffel_test_ shippo_live_ shippo_test_"
        " xkeysib- xsmtpsib- dop_v1_ doo_v1_ dor_v1_ HRKU- pscale_tkn_ pscale_pw_ pscale_oauth_ sbp_ sb_secret_"
        " GOCSPX- NRAK- NRJS- glsa_ sntryu_ AGE-SECRET-KEY-1",  # hosts and watching
        shortest=20,
        run=_PLAIN,
    ),
    _Begin(
        texts="sk- csk- hf_ npm_ pypi- sgp_ ntn_ rdme_ nfp_ EZAK EZTK AKCp",
        shortest=20,
        run=_PLAIN,
        is_of_words_too=True,
    ),
    _Begin(
        texts="secret_ aio_ r8_ fw_ key- cio pul- ico- pnu_ tfp_ AIza EAA dapi",
        shortest=28,
        run=_PLAIN,
        is_of_words_too=True,
    ),
    _Begin(texts="ya29. SG. hvs. hvb. hvr. xoxe. dp.pt. dp.st. dp.ct. dp.sa. dt0c01.", shortest=20, run=_DOTTED),
    _Begin(texts="pat", shortest=70, run=_DOTTED, is_of_words_too=True),
    _Begin(texts="sl.", shortest=100, run=_DOTTED, is_of_words_too=True),
    _Begin(texts="fm1_ fm2_ fo1_ sntrys_ glc_ ops_eyJ sha256~", shortest=40, run=_BASE64),
)
_BY_BEGIN = tuple((text, begin) for begin in _BEGINS for text in begin.texts.split())

_SHORTEST_KEY = 20
_END_OF_ESCAPE = r"\\[nrt]|[\d\[]m"
"""A line break as JSON spells it and a terminal's colour end in a letter, and yet no word goes on behind them."""
_AFTER_ESCAPE = "|".join(f"(?<={end})" for end in _END_OF_ESCAPE.split("|"))
_ANEW = rf"(?:{_AFTER_ESCAPE}|(?<![A-Za-z0-9]))"
_APART = rf"(?:{_AFTER_ESCAPE}|(?<![\w.~-]))"
_SAYS = r"[\\\"']{0,2}\s{0,3}[:,]\s{0,3}[\\\"']{0,2}"
"""What stands between a header's name and its value, in code and JSON too."""

_UNMARKED = re.compile(
    "|".join(
        (
            _ANEW + r"A[KSB]IA[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
            _ANEW + r"(?:AC|SK)[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio
            _APART + r"[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])",  # Discord
            r"(?<!\d)\d{8,10}:[A-Za-z][\w-]{34}(?![\w-])",  # Telegram
            _ANEW + r"[0-9a-f]{32}-us\d{1,2}(?!\w)",  # Mailchimp
            _ANEW + r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}+",  # Terraform
            _APART + r"[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])",  # Azure
        )
    )
)
_NAMED = re.compile(
    r"((?:aws_?secret_?(?:access_?)?key|aws_?session_?token|twilio_?auth_?token)\W{1,6}+)([A-Za-z0-9/+=]{32,}+)",
    re.IGNORECASE,
)
_AZURE_KEY = re.compile("(" + _ANEW + r"(?:Account|SharedAccess)Key=)([\w+/=%]{30,}+)")
_HOOK = re.compile(
    r"((?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks)/)([\w/-]*+)"
)
_HEADER = re.compile(
    f"({_APART}"
    r"(?:x-)?(?:goog-)?(?:api-key|auth-token|access-token|private-token|vault-token|functions-key"
    rf"|ocp-apim-subscription-key){_SAYS})"
    r"([^\s\"',;\\]*+)",
    re.IGNORECASE,
)
_COOKIE = re.compile(f"({_APART}(?:set-)?cookie{_SAYS})" + r"([^\"'\r\n\\]*+)", re.IGNORECASE)
_COOKIE_VALUE = re.compile(r"(=)([^;\s]*+)")
_BEARER = re.compile("()" + _ANEW + r"[Bb]earer\s{1,3}([\w.~+/=-]*+)")
_BASIC = re.compile(f"(){_ANEW}[Aa]uthorization{_SAYS}" + r"[Bb]asic\s{1,3}([\w+/=-]*+)")
_TOKEN = re.compile(f"({_ANEW})" + r"(eyJ[\w-]*+(?:\.[\w-]++)*+)")
_USER_IN_ADDRESS = re.compile(
    r"(?<=://)(?P<user>[^/\s:@\"'<>]*+):(?P<password>[^/\s@\"'<>]++)(?=@)|(?<=://)(?P<key>[\da-z]{32,}+)(?=@)"
)
KEY_IN_ADDRESS = re.compile(
    r"(?i)([?&;](?:[a-z-]{1,40}[_-])?(?:api_?key|key|token|secret|password|signature|sig)=)"
    r"([^&\s\"'<>#\\\[\]{}$?;]*+)"
)
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|Private-Lines: \d{1,4}")
_MATERIAL = re.compile(r"(?:[\w+/=\s\\:,.()@]|-(?!----))*+")
_PRIVATE_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_LINES = re.compile(r"(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{16,}+)*+")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/=]{16,}+")

_PUBLISHED = ("4eC39HqLyjWDarjtT1zdp7dc", "BQokikJOvBiI2HlWgH4olfQ2")
"""Keys that stand in a vendor's own manual for everybody to try, without saying so."""
_KNOWN_PASSWORDS = ("pass", "password", "passwd", "secret", "open sesame", "")


def without_known_forms(text: str) -> str:
    """The text without what has the form of a known kind of key.

    Cheap questions come first, for most texts hold none: no form but that of `_OURS` fits into a short word.
    """
    dense = " ".join(word for word in text.split() if len(word) >= _SHORTEST_KEY)
    for begin, kind in _BY_BEGIN:
        if begin in (text if begin == _OURS else dense):
            text = _without_keys_that_begin(text, begin, kind)
    if _UNMARKED.search(dense):
        text = _UNMARKED.sub(lambda found: found[0] if _STANDS_FOR_MORE.search(found[0]) else REMOVED, text)
    for marks, pattern, is_key in _FORMS:
        if any(mark in text for mark in marks):
            text = pattern.sub(_replacing(is_key), text)
    if "ookie" in text or "OOKIE" in text:
        text = _COOKIE.sub(lambda found: found[1] + _COOKIE_VALUE.sub(_replacing(is_random), found[2]), text)
    if "://" in text:
        text = _USER_IN_ADDRESS.sub(_without_password, text)
    return _without_private_keys(text) if "PRIVATE KEY" in text or "Private-Lines:" in text else text


def may_hold_key(text: str) -> bool:
    """Whether it holds such a key, or what only looks like one: a manual's, or any password in an address."""
    forms = (_UNMARKED, _USER_IN_ADDRESS, _PRIVATE)
    return any(form.search(text) for form in forms) or without_known_forms(text) != text


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
    before = text[start - 1] if start else " "
    if before == "_":
        return after_underscore
    return not before.isalnum() or re.fullmatch(_END_OF_ESCAPE, text[max(0, start - 2) : start]) is not None


def _replacing(is_key: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{found[1]}{REMOVED}" if is_key(found[2]) else found[0]


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
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "==").decode("latin-1")
    except (binascii.Error, ValueError):
        return text


def _without_password(found: re.Match[str]) -> str:
    if found["key"]:
        return found[0] if found["key"].isalpha() else REMOVED
    user, password = found["user"], found["password"]
    is_text = is_everybodys(password) or password == user or (password.isalpha() and is_name(password))
    return found[0] if is_text else REMOVED


def _without_private_keys(text: str) -> str:
    """The text without the lines of private keys, with line breaks as they are or as JSON spells them.

    No more goes than the lines themselves where the end of a key is missing, and talk about such lines stays.
    """
    kept: list[str] = []
    done, stop, end = 0, -1, None
    for begin in _PRIVATE.finditer(text):
        if begin.start() < done:
            continue
        if begin.end() > stop:
            stop = _MATERIAL.match(text, begin.end()).end()  # type: ignore[union-attr]  # it matches the empty text
            end = _PRIVATE_END.match(text, stop)
        elif end:
            continue  # it lies in what an earlier one began, up to the same end, and there was no line of a key
        until = end.end() if end else _LINES.match(text, begin.end()).end()  # type: ignore[union-attr]
        lines = _BASE64_LINE.findall(text, begin.end(), until)
        if any(len(set(line)) > 3 for line in lines):
            kept += (text[done : begin.start()], REMOVED)
            done = until
    return "".join((*kept, text[done:])) if kept else text


def _is_long(value: str) -> bool:
    """Whether a value under the name of a key is one: what the name says need not look random."""
    return len(value) >= 30 and len(set(value)) > 3 and not _STANDS_FOR_MORE.search(value)


_FORMS: tuple[tuple[tuple[str, ...], re.Pattern[str], Callable[[str], bool]], ...] = (
    (("aws", "AWS", "Aws", "wilio", "WILIO"), _NAMED, _is_long),
    (("ountKey=", "cessKey="), _AZURE_KEY, _is_long),
    (("hooks.slack", "webhooks/"), _HOOK, is_random),
    (("-key", "-Key", "-KEY", "-token", "-Token", "-TOKEN"), _HEADER, is_random),
    (("earer ",), _BEARER, is_random),
    (("asic ",), _BASIC, _is_login),
    (("eyJ",), _TOKEN, _is_web_token),
    (("://",), KEY_IN_ADDRESS, is_random),
)
"""What a text with such a key holds in any case, where the key stands (its second group), and whether it is one."""
