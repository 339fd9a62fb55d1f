SUMMARY = "Device that classifies images and learns new classes from a few"
DESCRIPTION = "A frozen vision encoder from a signed bundle, and a classifier that learns and forgets single samples exactly."
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${S}/LICENSE-MIT;md5=7e66b3af2e3fb2e14d056a68e87cd7ce \
                    file://${S}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# The static program of `build-device`: the Rust of older releases of OpenEmbedded cannot build it. MACULA_SOURCE is the checkout
# of Macula that this layer is a part of. A program from a server needs its checksum as well:
#   MACULA_PROGRAM = "https://SERVER/macula-aarch64;name=program"
#   SRC_URI[program.sha256sum] = "…"
MACULA_SOURCE ?= "${@os.path.normpath(d.getVar('THISDIR') + '/../../../..')}"
MACULA_ARCH = "none"
MACULA_ARCH:aarch64 = "aarch64"
MACULA_ARCH:arm = "armv7"
MACULA_ARCH:x86-64 = "x86-64"
MACULA_PROGRAM ?= "file://target/device/macula-${MACULA_ARCH}"
COMPATIBLE_HOST = "(aarch64|arm|x86_64).*-linux.*"
# The 32-bit program needs ARMv7.
COMPATIBLE_HOST:armv4 = "null"
COMPATIBLE_HOST:armv5 = "null"
COMPATIBLE_HOST:armv6 = "null"

FILESPATH = "${MACULA_SOURCE}"
SRC_URI = "${MACULA_PROGRAM} \
           file://LICENSE-MIT \
           file://LICENSE-APACHE \
           file://packaging/macula-device.service \
           file://packaging/service-unit \
           file://packaging/deb/device.conf"
# Before release 5.1, files are unpacked in WORKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit systemd useradd

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --home-dir /var/lib/macula --no-create-home --shell /sbin/nologin macula"
SYSTEMD_SERVICE:${PN} = "macula-device.service"
CONFFILES:${PN} = "${sysconfdir}/macula/device.conf"

# Nothing is compiled, and the program has no symbols.
INHIBIT_DEFAULT_DEPS = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INSANE_SKIP:${PN} += "already-stripped"

do_install() {
    install -D -m 0755 "$(find "${S}" -name 'macula-${MACULA_ARCH}' -type f)" ${D}${bindir}/macula-device
    install -D -m 0644 ${S}/packaging/deb/device.conf ${D}${sysconfdir}/macula/device.conf
    install -d -m 0750 -o macula -g macula ${D}${localstatedir}/lib/macula
    install -d ${D}${systemd_system_unitdir}
    sh ${S}/packaging/service-unit > ${D}${systemd_system_unitdir}/macula-device.service
}
