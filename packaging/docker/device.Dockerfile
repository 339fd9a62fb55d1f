# syntax=docker/dockerfile:1
# The device in a container: one static program and nothing else. Builds from source, for amd64, arm64 and arm/v7.
#
#   docker build -f packaging/docker/device.Dockerfile -t macula-device .
#   docker run -d --name ward --read-only --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:7000:7000 \
#       -v ward:/var/lib/macula -v "$PWD/nano.macula:/etc/macula/device.macula:ro" -v "$PWD/maker.pub:/etc/macula/device.pub:ro" macula-device
#
# There is no password: publish the port on the loopback address, as above, unless everyone in the network may teach.

# The builder runs on the machine that builds, and cross-compiles. Debian bookworm, as build-device wants it.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG TARGETARCH TARGETVARIANT
WORKDIR /macula
COPY . .
RUN case "$TARGETARCH/$TARGETVARIANT" in amd64/*) arch=x86-64 ;; arm64/*) arch=aarch64 ;; arm/v7) arch=armv7 ;; *) exit 1 ;; esac \
    && ./build-device "$arch" \
    && install -D -m 755 "target/device/macula-$arch" /image/macula-device \
    && install -d -m 750 -o 10001 -g 10001 /image/var/lib/macula

FROM scratch
# Copied with their owners: a new volume takes them from the folder.
COPY --from=build /image/ /
USER 10001:10001
VOLUME /var/lib/macula
EXPOSE 7000
# Stores what it acknowledged, then ends.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s \
    CMD ["/macula-device", "status", "--device", "tcp:127.0.0.1:7000", "--quiet"]
ENTRYPOINT ["/macula-device"]
# Listens on the network of the container; who may reach it is decided where the port is published.
CMD ["device", "--encoder", "/etc/macula/device.macula", "--trust", "/etc/macula/device.pub", \
    "--store", "/var/lib/macula/device.store", "--listen", "tcp:0.0.0.0:7000", "--allow-remote"]
