# The one image of dots-gateway: `api`, `worker`, `migrate` and the simulator are commands of it.
# Pin the base for a release: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:<digest>
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The environment that ships has no pip in it; the builder's own pip fills it from outside.
RUN python -m venv --without-pip /opt/dots-gateway \
 && python -m venv /build/tools
COPY requirements.lock requirements-build.lock ./
RUN pip --python /opt/dots-gateway/bin/python install --require-hashes --no-deps --requirement requirements.lock \
 && /build/tools/bin/pip install --require-hashes --no-deps --requirement requirements-build.lock
COPY pyproject.toml README.md ./
COPY app app
COPY migrations migrations
COPY simulator simulator
RUN /build/tools/bin/pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
 && pip --python /opt/dots-gateway/bin/python install --no-deps dist/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="dots-gateway" \
      org.opencontainers.image.description="Create Dots flows over plain HTTP, and learn reliably what your payees did."
ENV PATH=/opt/dots-gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=builder /opt/dots-gateway /opt/dots-gateway
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
WORKDIR /opt/dots-gateway
EXPOSE 8000
# For `api`; containers that run another command set their own check or none (docker-compose.yml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
STOPSIGNAL SIGTERM
# Exec form: the command itself is process 1 and gets the SIGTERM that makes it drain.
ENTRYPOINT ["dots-gateway"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]
