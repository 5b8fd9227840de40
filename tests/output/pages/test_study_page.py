"""report.html of a study in a browser: whole, quiet, sorted by a click, fit for a telephone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spatgmm.report import page, registry, summary
from spatgmm.report.results import Results
from spatgmm.report.story import Story
from spatgmm.study import outputs


@pytest.fixture(scope="session")
def report(run):
    """The page of the made-up run, with its figures."""
    config, directory = run
    for asked in outputs.asked(config):
        if asked.output.kind == "figure":
            registry.write(asked.name, config, directory)
    return page.write(config, directory)


def test_it_needs_no_network_and_fits_a_telephone(check_page, report):
    check_page(report)
    assert report.stat().st_size < 5e6


def test_it_tells_the_answer_first_and_all_that_the_summary_tells(browser, report, run):
    browser.open(report)
    story = Story(Results(*run))
    shown = browser.run("document.body.innerText").replace("\u00a0", " ")
    at = [shown.index(sentence) for sentence in story.headline]
    assert len(at) == 3 and at == sorted(at)
    assert browser.run("document.querySelector('svg,img').getBoundingClientRect().top") < 900
    text = summary.text(story)
    for told in story.outputs:
        heading = f"{told.asked.label}: {told.asked.output.title}"
        section = browser.run(f"document.getElementById('{told.asked.name}').innerText")
        assert section.startswith(heading)
        for said in (told.made.finding, told.asked.output.caption, *told.made.notes):
            assert " ".join(said.split()) in " ".join(section.split())
            assert said in text
    for said in (*story.warnings, "Methods", "Data", "Failures", "Provenance", "Root seed"):
        assert said in shown
    lost = browser.run("document.querySelector('#failures ~ .scroll').innerText")
    assert "3-th leading minor not positive definite" in lost


def test_figures_are_vector_graphics_of_their_own(browser, report, run):
    browser.open(report)
    figures = [one.name for one in outputs.asked(run[0]) if one.output.kind == "figure"]
    drawn = browser.run("document.querySelectorAll('section figure svg').length")
    pictures = browser.run("document.querySelectorAll('section figure img').length")
    assert drawn + pictures == len(figures) and drawn >= len(figures) - 2
    # Names of one drawing mean nothing in another.
    dangling = browser.run(
        "Array.from(document.querySelectorAll('svg use'), u => u.href.baseVal.slice(1))"
        ".filter(id => !document.getElementById(id)).length"
    )
    assert dangling == 0


def test_a_click_on_a_heading_sorts(browser, report):
    browser.open(report)
    column = "Array.from(document.querySelectorAll('#table1 tbody tr'), r => r.cells[{}].innerText)"
    heads = browser.run("Array.from(document.querySelectorAll('#table1 th'), h => h.innerText)")
    at = [head.strip() for head in heads].index("bias")
    click = f"document.querySelectorAll('#table1 th button')[{at}].click()"
    before = browser.run(column.format(at))
    browser.run(click)
    up = [float(text.replace("−", "-")) for text in browser.run(column.format(at))]
    assert up == sorted(up) and min(up) < 0 < max(up)
    assert sorted(before) == sorted(browser.run(column.format(at)))
    browser.run(click)
    down = [float(text.replace("−", "-")) for text in browser.run(column.format(at))]
    assert down == up[::-1]
    state = f"document.querySelectorAll('#table1 th')[{at}].getAttribute('aria-sort')"
    assert browser.run(state) == "descending"
    # Rows whose first cells repeat those above say after sorting what they are of.
    browser.run("document.querySelectorAll('#table9 th button')[2].click()")
    scenarios = browser.run(
        "Array.from(document.querySelectorAll('#table9 tbody tr'), r => r.cells[0].innerText)"
    )
    assert "" not in scenarios


def test_names_are_shown_as_they_are(run, browser, tmp_path):
    config, directory = run
    story = Story(Results(config | {"question": "<script>alert('1')</script> & more?"}, directory))
    text = page.text(story, datetime(2026, 1, 2, tzinfo=UTC))
    path = tmp_path / "page.html"
    path.write_text(text)
    browser.open(path)
    assert browser.run("document.querySelector('h1').innerText") == story.question
    assert browser.said == []
