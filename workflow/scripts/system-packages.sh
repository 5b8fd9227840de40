#!/bin/sh
# R with mclust and fields, what makes a virtual environment, and with WITH_BROWSER=1 what the tests open
# pages in: installs what is missing from Debian's packages, as root or with sudo. Elsewhere it says
# in one line what to install.
set -eu

missing=""
if [ ! -x "${VENV:-.venv}/bin/python" ]; then
    "${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || missing="python3-venv"
fi
if command -v Rscript >/dev/null 2>&1; then
    missing="$missing $(Rscript --vanilla -e '
        for (package in c("mclust", "fields"))
            if (!nzchar(system.file(package = package))) cat("r-cran-", package, " ", sep = "")
    ')"
else
    missing="$missing r-base-core r-cran-mclust r-cran-fields"
fi
if [ -n "${WITH_BROWSER:-}" ] && ! command -v chromium >/dev/null 2>&1; then
    missing="$missing chromium"
fi
missing=$(echo $missing)
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        as_root="env"
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root="sudo"
    else
        as_root=""
    fi
    if [ -n "$as_root" ]; then
        echo "installing $missing"
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends $missing >/dev/null </dev/null &&
            exit 0
    fi
fi
echo "Please install these packages (Debian's names), then call make again: $missing" >&2
exit 1
