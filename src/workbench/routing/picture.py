"""Where cases went, as a picture: the diagonal is right, and what stands beside it went elsewhere."""

from __future__ import annotations

from workbench.comparison.pictures.canvas import Plot, Theme
from workbench.comparison.pictures.matrix import matrix_plot
from workbench.markup import counted
from workbench.routing.measured import Routed, shown_label


def plot_routing(routed: Routed, *, theme: Theme = "light") -> Plot:
    """For each agent that cases are meant for (row) the share of them that each agent got (column), in percent. Right
    picks are framed; the last row and column are the main model itself.

    Of more than 24 agents those are drawn whose cases went elsewhere most.
    """
    return matrix_plot(
        routed.figures.confusion,
        [shown_label(label) for label in routed.labels],
        title=f"Where {counted(len(routed.cases), 'case')} went",
        alt=describe_routing(routed),
        theme=theme,
    )


def describe_routing(routed: Routed) -> str:
    """What the picture shows, for who does not see it."""
    said = []
    for label, counts in zip(routed.labels, routed.figures.confusion.tolist(), strict=True):
        whole = sum(counts)
        ranked = sorted(zip(counts, routed.labels, strict=True), key=lambda each: -each[0])
        went = ", ".join(f"{shown_label(to)} {count / whole:.0%}" for count, to in ranked if count > 0)
        if went:
            said.append(f"{shown_label(label)} ({counted(round(whole), 'case')}): {went}")
    return f"Where cases went, by where they should go. {'; '.join(said)}."
