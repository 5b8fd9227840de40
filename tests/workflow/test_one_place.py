"""What all parts must agree on stands in one file each: found by patterns over the sources."""

import re
from pathlib import Path

import pytest

import spatgmm
from spatgmm.study import rows

SOURCES = Path(rows.__file__).parents[1]

#: What is looked for, with the file that owns it.
OWNED = {
    # "failed" is a word that readers see, too.
    "statuses": (rf"""["']({"|".join(set(rows.STATUSES) - {rows.FAILED})})["']""", "study/rows.py"),
    "comparisons with failed": (r"""status["'\]]* *(==|!=|:|in).*["']failed["']""", None),
    "version columns": (r"""["']scikit_learn["']""", "study/rows.py"),
    "columns of extras": (r"""["']extra\.""", "study/rows.py"),
    "columns of estimates": (
        rf"""["']({"|".join(rows.KINDS)})\.[\d{{]|\{{kind\}}\.\{{comp""",
        "study/rows.py",
    ),
    "covariances of estimates": (r"""["']cov\.|["']cov["']""", "study/rows.py"),
    "BIC": (
        r"""-\s*2(\.0)?\s*\*\s*[\w.()]*log_(likelihood|density)[^\n]*\blog\(""",
        "common/base.py",
    ),
    "places in theta": (r"^(C, )?(TAU|NU|SHAPE|N_COEFFICIENTS)\b[^\n]* = ", "covariance/family.py"),
    "the paper's alpha of theta": (
        r"\ba1 = c \+ tau\b|\[1, 1, 0\], \[0, -1, 0\]",
        "covariance/family.py",
    ),
    "the package's version": (rf"""["']{re.escape(spatgmm.__version__)}["']""", "__init__.py"),
    "seeds of fits": (r"SeedSequence\(\[root_seed, \*|stable_hash\(variant", "study/cases.py"),
}


@pytest.mark.parametrize("what", OWNED)
def test_it_stands_in_one_file(what):
    pattern, owner = OWNED[what]
    found = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {owner} - {None}


def test_only_likelihoods_know_the_places_in_theta():
    """All others ask the family; search and information in cosines belong to that likelihood."""
    knowing = re.compile(
        r"\b(TAU|NU|SHAPE|N_COEFFICIENTS)\b|thetas?\[[^\]]*\bC\b"
        # By number, too.
        r"|\bthetas?\[(\.\.\.|:)?,? *(\d|:\d|\d:)"
    )
    allowed = re.compile(r"covariance/|fitting/(search/|vecchia|\w*information)")
    found = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if knowing.search(path.read_text(encoding="utf-8"))
    }
    assert "covariance/family.py" in found
    assert {path for path in found if not allowed.match(path)} == set()


def test_no_other_file_takes_a_column_of_estimates_apart():
    """Whoever splits a name at its dots and asks for a digit reads the grammar by itself."""
    apart = re.compile(r"""(partition|split)\(["']\.["'].{0,200}isdigit""", re.DOTALL)
    found = [path.name for path in SOURCES.rglob("*.py") if apart.search(path.read_text())]
    # Dotted paths of a configuration have numbers in them, too.
    assert sorted(found) == ["rows.py"]
