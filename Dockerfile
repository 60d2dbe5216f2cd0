# charrnn from this tree, for containers: docs/scale.md says how it is built and called.

# The whole image has a C compiler, for the compiled step.
FROM python:3.12 AS build
WORKDIR /charrnn
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY corpora corpora
COPY docs/man docs/man
COPY charrnn charrnn
RUN CHARRNN_REQUIRE_COMPILED=1 pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# Where torch's builds for one kind of processor or GPU are found. Left empty: the usual registry's, which on Linux is
# the build for CUDA.
ARG TORCH_INDEX=
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint constraints.txt /wheels/*.whl

# Runs lie in ./checkpoints of the folder that is mounted here; whoever the container runs as may have no home.
ENV MPLCONFIGDIR=/tmp
WORKDIR /work
ENTRYPOINT ["charrnn"]
