"""Graders of what a reply took: time, tokens, money. Each declines where that was not measured."""

from __future__ import annotations

from workbench.grading import options
from workbench.trial.catalogue import price_usd
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score


def latency(*, at_most: float, first_token: bool = False) -> Grader:
    """A grader of the seconds until the reply was there, or with `first_token` until its first token was.

    The value is 1 up to `at_most` and falls linearly to 0 at twice that. It declines for a batch, and wherever no time
    was taken.

    Raises:
        TypeError, ValueError: `at_most` is not a number above 0, or `first_token` is not true or false.
    """
    high, of_first = options.number("at_most", at_most), options.switch("first_token", first_token)

    def grade(task: Task, reply: Reply) -> Score:
        seconds = reply.seconds_to_first_token if of_first else reply.seconds
        if seconds is None:
            return Score(value=None, explanation="no time was taken")
        what = " to the first token" if of_first else ""
        return Score(value=options.within(seconds, None, high), explanation=f"{seconds:.2f} s{what}, {high:g} s wanted")

    return grade


def tokens(*, at_most: int) -> Grader:
    """A grader of the tokens that the model wrote, thinking included, as the API counts them.

    The value is 1 up to `at_most` and falls linearly to 0 at twice that. It declines where they were not counted.

    Raises:
        TypeError, ValueError: `at_most` is not a whole number of at least 1.
    """
    high = options.count("at_most", at_most)

    def grade(task: Task, reply: Reply) -> Score:
        written = reply.usage.output_tokens
        if written is None:
            return Score(value=None, explanation="the tokens were not counted")
        return Score(value=options.within(written, None, high), explanation=f"{written} tokens, {high} wanted")

    return grade


def cost(*, at_most: float) -> Grader:
    """A grader of what the reply cost in USD by list prices, without attempts that failed before it.

    The value is 1 up to `at_most` and falls linearly to 0 at twice that. It declines where the model's price, or its
    tokens, are not known.

    Raises:
        TypeError, ValueError: `at_most` is not a number above 0.
    """
    high = options.number("at_most", at_most)

    def grade(task: Task, reply: Reply) -> Score:
        usd = price_usd(reply.model, reply.usage)
        if usd is None:
            return Score(value=None, explanation=f"the price of {reply.model or 'the model'} is not known")
        return Score(value=options.within(usd, None, high), explanation=f"{usd:.6g} USD, {high:g} USD wanted")

    return grade
