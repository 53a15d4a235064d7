# docker build -t clif . && docker run clif            (the demo)
#                           docker run clif make test  (ruff, mypy and the tests)
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*

# Not root: tests of files without permission to write mean nothing to root.
RUN useradd --create-home clif && install --directory --owner=clif --group=clif /home/clif/clif
USER clif
WORKDIR /home/clif/clif
COPY --chown=clif . .

# PyTorch without CUDA, a fifth of the download.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN make install

CMD ["make", "demo"]
