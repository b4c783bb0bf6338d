# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked && cp target/release/switchboard /switchboard

FROM debian:bookworm-slim
# Vendors are reached over TLS: their certificates are checked against the system's.
RUN apt-get update && apt-get install --no-install-recommends --yes ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /switchboard /usr/local/bin/switchboard
# Nothing here needs to be root. storage.path is relative to the working directory.
RUN install --directory --owner=65532 --group=65532 /var/lib/switchboard
USER 65532:65532
WORKDIR /var/lib/switchboard
ENTRYPOINT ["switchboard"]
CMD ["--help"]
