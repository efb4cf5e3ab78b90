# syntax=docker/dockerfile:1
# The broker (/barnabas) and the operator (/barnabas-operator) in one image: whoever runs both pulls it once.
ARG BUILDER=rust:1.95-bookworm
ARG RUNTIME=gcr.io/distroless/static-debian12:nonroot

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# What was downloaded and compiled stays in the caches of the machine that builds, so a small change is a small build. They
# are no part of a layer: the programs have to be copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package barnabas --package barnabas-operator && \
    mkdir /image && \
    cp target/release/barnabas target/release/barnabas-operator /image/
# The programs need glibc and libgcc, of the version they were linked with. A base with them (distroless/cc) has OpenSSL, too,
# which nothing here uses, and would make the image half as large again.
RUN for program in /image/*; do ldd "$program"; done | grep -o '/[^ ]*' | sort -u | \
    xargs cp --parents --dereference --target-directory=/image

FROM ${RUNTIME}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Barnabas" \
      org.opencontainers.image.description="Apache Kafka for Kubernetes: a broker and an operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532:65532
# Clients; the brokers' and controllers' own; metrics and health.
EXPOSE 9092 9093 9464
# Nothing is written but log.dirs: the root filesystem may be read-only.
ENTRYPOINT ["/barnabas"]
