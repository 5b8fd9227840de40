"""Drawings inside a page: short, and still drawings."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from spatgmm.report import html


def test_digits_that_no_screen_shows_are_left_out_of_tags_only():
    drawing = '<svg><path d="M 123.456789 0.123456 L -7.98765 10.5"/><text>123.456789</text></svg>'
    shown = str(html.svg(drawing, "title", "name"))
    assert 'd="M 123.45 0.123456 L -7.98 10.5"' in shown
    assert "<text>123.456789</text>" in shown


def test_a_drawing_gives_way_to_a_picture_that_is_much_shorter():
    few, ax = plt.subplots()
    ax.plot([0, 1])
    assert html.drawn(few, "few", "few").startswith("<svg")
    many, ax = plt.subplots()
    ax.plot(*np.random.default_rng(0).normal(size=(2, 20_000)), ".")
    assert html.drawn(many, "many", "many").startswith("<img")
    plt.close("all")
