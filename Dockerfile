# The server of crmnet: web page, API and GAME. Untested: written without a container engine.
#
#   docker build -t crmnet .
#   docker run --rm -p 127.0.0.1:8765:8765 crmnet
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
RUN useradd --create-home crmnet
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
RUN pip install --constraint constraints.txt torch \
 && pip install --constraint constraints.txt '.[serve,design]' \
 && rm -rf /build

USER crmnet
WORKDIR /home/crmnet
EXPOSE 8765
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/api/v1/health', timeout=5)"]
ENTRYPOINT ["crmnet", "serve", "--host", "0.0.0.0", "--port", "8765"]
