# One image for all processes: the API by default; `ticketing worker` and `ticketing migrate` as commands.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/ticketing
COPY requirements.lock ./
RUN /opt/ticketing/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN /opt/ticketing/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/ticketing --shell /usr/sbin/nologin ticketing
COPY --from=build /opt/ticketing /opt/ticketing
ENV PATH=/opt/ticketing/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/var/lib/ticketing
USER 10001
WORKDIR /var/lib/ticketing
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["ticketing", "serve", "--host", "0.0.0.0"]
