# The whole study in a container: docker build -t spatgmm . && docker run -v "$PWD/results:/spatgmm/results" spatgmm make smoke
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /spatgmm
ENV PATH=/spatgmm/.venv/bin:$PATH RPY2_CFFI_MODE=ABI

# What the environment is made of, before the rest: tests and configurations change more often.
COPY Makefile pyproject.toml README.md LICENSE requirements.txt requirements-no-deps.txt ./
COPY workflow/scripts workflow/scripts
COPY src src
RUN make setup && rm -rf /var/lib/apt/lists/*

COPY . .
# The package is installed already; what was copied must not look newer than that.
RUN touch .venv/.ready

CMD ["make", "help"]
