"""What all parts must agree on stands in one file each: found by patterns over the sources."""

import re
from pathlib import Path

import pytest

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
    "seeds of fits": (r"SeedSequence\(\[root_seed, \*|stable_hash\(variant", "study/cases.py"),
}


@pytest.mark.parametrize("what", OWNED)
def test_it_stands_in_one_file(what):
    pattern, owner = OWNED[what]
    found = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found == {owner} - {None}


def test_no_other_file_takes_a_column_of_estimates_apart():
    """Whoever splits a name at its dots and asks for a digit reads the grammar by itself."""
    apart = re.compile(r"""(partition|split)\(["']\.["'].{0,200}isdigit""", re.DOTALL)
    found = [path.name for path in SOURCES.rglob("*.py") if apart.search(path.read_text())]
    # Dotted paths of a configuration have numbers in them, too.
    assert sorted(found) == ["rows.py"]
