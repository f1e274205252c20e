"""What every picture stands on: its colours by theme, names that any font can draw, and its bytes.

Figures are made without pyplot, whose state is global, and with their own colours and font instead of the
reader's settings, so that a picture is the same everywhere and may be drawn in any thread. Each has an opaque
background: it reads on a white page and on a black one.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from workbench.markup import html, visible

Theme = Literal["light", "dark"]

DOTS_PER_INCH = 150
_SHOWN_PER_INCH = 100
_FONT = "DejaVu Sans"  # comes with matplotlib, so that a picture is the same everywhere as long as it suffices
_LONGEST_NAME = 28
_PICTURE = """\
{% if is_light %}
<style>[data-jp-theme-light="false"] .workbench-picture { filter: invert(0.93) hue-rotate(180deg); }</style>
{% endif %}
<img alt="{{ alt }}" src="data:image/png;base64,{{ png }}" width="{{ width }}"\
{% if is_light %} class="workbench-picture"{% endif %}>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """The colours of a theme. Series are Okabe and Ito's, told apart without colour vision."""

    paper: str
    ink: str
    faint: str
    band: str
    baseline: str
    variant: str
    series: tuple[str, ...]
    """For the variants beside the baseline, over and over."""


PALETTES: Mapping[Theme, Palette] = MappingProxyType(
    {
        "light": Palette(
            paper="#ffffff",
            ink="#1a1a1a",
            faint="#d0d0d0",
            band="#e4e4e4",
            baseline="#D55E00",
            variant="#0072B2",
            series=("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
        ),
        "dark": Palette(
            paper="#111111",
            ink="#ececec",
            faint="#444444",
            band="#303030",
            baseline="#E69F00",
            variant="#56B4E9",
            series=("#56B4E9", "#2BC49A", "#CC79A7", "#F0E442", "#E8743B"),
        ),
    }
)
MARKERS = ("o", "D", "^", "v", "P", "X", "p", "*")
"""For the variants beside the baseline, whose marker is "s"; a different one for each of the first eight."""


class Plot(Figure):
    """A figure that notebooks show as PNG with its description, also where pyplot was never imported."""

    def __init__(self, *, inches: tuple[float, float], theme: Theme, alt: str) -> None:
        self.palette = PALETTES[theme]
        self.alt = alt
        """What the picture shows, with its numbers, for who does not see it."""
        super().__init__(figsize=inches, dpi=DOTS_PER_INCH, layout="constrained", facecolor=self.palette.paper)

    def _repr_png_(self) -> bytes:
        return png(self)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {
            "image/png": base64.b64encode(png(self)).decode("ascii"),
            "text/html": str(picture_html(self)),
            "text/plain": self.alt,
        }
        return data, {"image/png": {"alt": self.alt, "width": shown_width(self)}}


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, the same bytes each time."""
    buffer = BytesIO()
    # Not savefig, which reads the reader's settings for margins and background.
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def picture_html(figure: Plot) -> Markup:
    """The figure as HTML with its description. By its class, one in light colours is turned over in a dark JupyterLab,
    whose theme the page knows and no picture can: bright becomes dark, and hues stay. The rule comes with the picture;
    JupyterLab takes it out of a notebook that is not trusted, where the picture stays a light one."""
    return html(
        _PICTURE,
        alt=figure.alt,
        png=Markup(base64.b64encode(png(figure)).decode("ascii")),
        width=shown_width(figure),
        is_light=figure.palette is PALETTES["light"],
    )


def shown_width(figure: Figure) -> int:
    """The width in CSS pixels at which the text of the figure has the size of the text around it."""
    return round(figure.get_figwidth() * _SHOWN_PER_INCH)


def finish(figure: Plot, *, title: str) -> Plot:
    """The figure with its title, and all text in one font and colour, never read as a formula."""
    figure.suptitle(title, fontsize=10, fontweight="bold", color=figure.palette.ink)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_text(drawable(text.get_text()))
        others = {_family_of(character) for character in text.get_text()} - {_FONT, None}
        text.set_fontfamily([_FONT, *sorted(map(str, others))])
        if others:
            text.set_fontweight("normal")  # the only weight that such a family was looked for in
    return figure


def style(axes: Axes, palette: Palette, *, title: str, grid: Literal["x", "y", "both"] | None) -> None:
    """Axes in the colours of the theme."""
    axes.set_facecolor(palette.paper)
    axes.set_title(title, fontsize=9, color=palette.ink)
    axes.tick_params(colors=palette.ink, labelsize=8, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(palette.ink)
        label.set_fontsize(8)
    for spine in axes.spines.values():
        spine.set_color(palette.ink)
        spine.set_linewidth(0.6)
    axes.grid(False)
    if grid is not None:
        axes.grid(visible=True, axis=grid, color=palette.faint, linewidth=0.6, linestyle="-")
    axes.set_axisbelow(True)


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of two colours of red, green and blue in 0..1, as WCAG 2 has it: from 1 to 21."""
    values = np.array([one, other])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    low, high = sorted((linear @ np.array([0.2126, 0.7152, 0.0722])).tolist())
    return float((high + 0.05) / (low + 0.05))


def ink_on(share: float) -> str:
    """The colour of text on cividis at this share, 0..1: from 0.45 on black contrasts more than white does."""
    return "#000000" if share > 0.45 else "#ffffff"


def number_axis(axis: Axis) -> None:
    """Round numbers along an axis, within its limits and written the same whatever the reader's settings."""
    low, high = axis.get_view_interval()
    ticks = [
        tick for tick in MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= tick <= high
    ]
    decimals = next(
        (digits for digits in range(6) if np.allclose(ticks, np.round(ticks, digits), rtol=0, atol=1e-9)), 6
    )
    axis.set_ticks(ticks, labels=[f"{tick + 0.0:.{decimals}f}".replace("-", "−") for tick in ticks])


def name_rows(axes: Axes, names: Sequence[str], palette: Palette, *, size: float = 9) -> None:
    """The rows 0, 1, ... of axes from the top, named."""
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels(names, fontsize=size, color=palette.ink)
    axes.set_ylim(len(names) - 0.5, -0.5)


def short_names(names: Sequence[str], *, longest: int = _LONGEST_NAME) -> list[str]:
    """Each name on one line and short enough to draw. Names that would read alike, or not at all, get a number."""
    shown = [_short(name, longest) for name in names]
    times = Counter(shown)
    unreadable = {label for name, label in zip(names, shown, strict=True) if times[label] > 1 or _lacks(name)}
    return [
        f"#{number} {_short(name, longest - 4)}" if label in unreadable else label
        for number, (name, label) in enumerate(zip(names, shown, strict=True), start=1)
    ]


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """The name on one line; a long one without its middle."""
    shown = visible(name)
    if len(shown) <= longest:
        return shown
    tail = (longest - 1) // 3
    return f"{shown[: longest - 1 - tail]}…{shown[-tail:]}"


def drawable(text: str) -> str:
    """The text with every character that no font of this computer can draw named: "<U+540D>"."""
    return "".join(map(_drawn, text))


def _short(name: str, longest: int) -> str:
    """As `shortened`, counting what is drawn for each character."""
    pieces = [_drawn(character) for character in visible(name)]
    if sum(map(len, pieces)) == len(pieces):
        return shortened(name, longest)
    kept = 0
    while kept < len(pieces) and sum(map(len, pieces[: kept + 1])) < longest:
        kept += 1
    return "".join(pieces[:kept]) + "…" * (kept < len(pieces))


def _drawn(character: str) -> str:
    is_known = character == "\n" or _family_of(character) is not None
    return character if is_known else f"<U+{ord(character):04X}>"


def _lacks(text: str) -> bool:
    return any(_family_of(character) is None for character in visible(text))


@lru_cache(maxsize=8192)
def _family_of(character: str) -> str | None:
    """The first family that has the character; `None` where no installed one has."""
    if all(_has(character, FontProperties(family=[_FONT], weight=weight)) for weight in ("normal", "bold")):
        return _FONT
    return next((name for name in _other_families() if _has(character, FontProperties(family=[name]))), None)


@cache
def _other_families() -> tuple[str, ...]:
    """The families of this computer with an upright face of normal weight, the plainest first.

    Not those of formulas, whose characters are not where Unicode has them, and not the one that has a box for all.
    """
    names = {face.name for face in fontManager.ttflist if face.style == "normal" and face.weight in (400, "normal")}
    odd = ("cm", "Last Resort", "STIXNonUnicode", "STIXSize")
    plain = {name for name in names if not name.startswith(odd)} - {_FONT}
    return tuple(sorted(plain, key=lambda name: ("Sans" not in name, "Mono" in name, name)))


def _has(character: str, properties: FontProperties) -> bool:
    try:
        font = get_font(findfont(properties, fallback_to_default=False))
    except (OSError, RuntimeError, ValueError):
        return False  # a font file that is damaged, gone, or of a kind that cannot be opened draws nothing
    return bool(font.scalable and font.get_char_index(ord(character)))
