# syntax=docker/dockerfile:1
# The host tool in a container: pretraining, evaluation, export.
#
#   docker build -f packaging/docker/host.Dockerfile -t macula .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" macula advise SCANS
#
# For the page of `macula serve`: -p 127.0.0.1:7001:7001, and --listen 0.0.0.0:7001 --allow-remote.

FROM rust:1.95-bookworm AS build
WORKDIR /macula
COPY . .
RUN cargo build --locked --release --package macula --bin macula --features onnx \
    && install -D -m 755 target/release/macula /image/usr/local/bin/macula

# The C library of the builder.
FROM debian:bookworm-slim
COPY --from=build /image/ /
RUN useradd --uid 10001 --user-group --create-home macula && install -d -o macula -g macula /work
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["macula"]
CMD ["--help"]
