# The project's own MLflow, locked, with PostgreSQL's driver; nothing else of it.
FROM python:3.12-slim
COPY requirements.lock /requirements.lock
RUN pip install --no-cache-dir uv \
 && uv pip compile --quiet --generate-hashes --constraint /requirements.lock --output-file /locked.txt - <<'PACKAGES'
mlflow
psycopg2-binary
PACKAGES
RUN uv pip install --system --no-cache --require-hashes -r /locked.txt
