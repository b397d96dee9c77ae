# One image, every command: `docker run tapereader worker`, `… gateway`, `… produce`.
FROM node:22-bookworm-slim AS page
WORKDIR /page
COPY app/gateway/page/package.json app/gateway/page/package-lock.json app/gateway/page/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY app/gateway/page ./
# The build goes to ../static/build, beside the page's folder as in the repository.
RUN mkdir -p /static && node build.mjs

FROM python:3.12-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /srv/tapereader
# Dependencies in a layer of their own: they change less often than the code.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --no-install-project
COPY app app
COPY agents agents
COPY tables tables
COPY producers producers
COPY --from=page /static/build app/gateway/static/build
RUN uv sync --frozen --no-dev

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/tapereader tapereader
WORKDIR /srv/tapereader
COPY --from=build /srv/tapereader /srv/tapereader
ENV PATH=/srv/tapereader/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER tapereader
ENTRYPOINT ["tapereader"]
CMD ["--help"]
