#!/usr/bin/env bash
# Installs what measure.py needs, for Debian bookworm on x86-64, as root or with sudo; does nothing if all is present.
#
#   benches/arm/setup.sh [FOLDER]     FOLDER: target/arm-counts; takes 2.8 GB, half of it TensorFlow
#
#   FOLDER/libcount.so     the plugin that counts
#   FOLDER/host            Python environment of this machine, which converts encoders for the peers
#   FOLDER/python-ARCH     Debian's Python for Arm
#   FOLDER/wheels-MACHINE  the peers for Arm
#   FOLDER/CPU             root for the emulator: python-ARCH, with /proc/cpuinfo and /sys of a board with one such core
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here/../../target/arm-counts}"
folder=$(cd "${1:-$here/../../target/arm-counts}" && pwd)

fail() { echo "arm/setup: $1" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "needs root: run it as root or install sudo"
    fi
}

# Unpacks packages of another architecture: installing them would pull in a second system.
unpack() { # ARCH PACKAGE …
    local root=$folder/python-$1 state=$folder/apt-$1 deb
    local apt=(apt-get -q -o APT::Architecture="$1" -o APT::Architectures="$1" -o Dir::State::Lists="$state/lists"
        -o Dir::Cache="$state/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
    shift
    rm -rf "$root" "$state"
    mkdir -p "$root" "$state/lists/partial" "$state/cache/archives/partial" "$state/packages"
    # A source without packages of this architecture fails here; one that is needed stops the download.
    "${apt[@]}" update >/dev/null || echo "arm/setup: apt-get update failed for a source; going on with the others" >&2
    (cd "$state/packages" && "${apt[@]}" download "$@" >/dev/null)
    for deb in "$state"/packages/*.deb; do dpkg -x "$deb" "$root"; done
    rm -rf "$state"
}

wheels() { # MACHINE
    local glibc platforms=(--platform "manylinux2014_$1")
    # Those that run with bookworm's C library, 2.36.
    for glibc in {17..36}; do platforms+=(--platform "manylinux_2_${glibc}_$1"); done
    rm -rf "$folder/wheels-$1"
    "$folder/host/bin/pip" install -q --no-deps --no-compile --only-binary :all: --implementation cp --python-version 3.11 \
        --abi cp311 --abi abi3 --abi none "${platforms[@]}" --target "$folder/wheels-$1" -r "$here/requirements-$1.txt"
}

# The peers choose kernels and threads by these files. With those of this machine, ONNX Runtime crashes.
board() { # CPU ARCH ARCHITECTURE VARIANT PART REVISION MIDR FEATURES
    local root=$folder/$1 sys=$folder/$1/sys/devices/system/cpu entry level kind size index=0
    rm -rf "$root"
    mkdir -p "$root/proc" "$sys/cpu0"/{topology,cpufreq,regs/identification}
    for entry in "$folder/python-$2"/*; do ln -s "../python-$2/${entry##*/}" "$root/"; done
    printf '%s\t: %s\n' processor 0 BogoMIPS 108.00 Features "$8" 'CPU implementer' 0x41 'CPU architecture' "$3" \
        'CPU variant' "$4" 'CPU part' "$5" 'CPU revision' "$6" >"$root/proc/cpuinfo"
    echo "$7" >"$sys/cpu0/regs/identification/midr_el1"
    for entry in possible present online kernel_max cpu0/topology/{core_id,physical_package_id} \
        cpu0/topology/{core_siblings,thread_siblings,cluster_cpus,core_cpus,package_cpus}_list; do echo 0 >"$sys/$entry"; done
    echo 1 >"$sys/cpu0/topology/core_siblings"
    echo 1400000 >"$sys/cpu0/cpufreq/cpuinfo_max_freq"
    echo 600000 >"$sys/cpu0/cpufreq/cpuinfo_min_freq"
    while read -r level kind size; do
        mkdir -p "$sys/cpu0/cache/index$index"
        cd "$sys/cpu0/cache/index$((index++))"
        echo "$level" >level
        echo "$kind" >type
        echo "$size" >size
        echo 64 >coherency_line_size
        echo 4 >ways_of_associativity
        echo 128 >number_of_sets
        echo 0 >shared_cpu_list
        echo 1 >shared_cpu_map
    done <<<$'1 Data 32K\n1 Instruction 32K\n2 Unified 512K'
}

# Changed scripts install again.
state=$(cat "$here"/{setup.sh,count.c,requirements-*.txt,../peers/requirements-runtimes.txt} | sha256sum)
[ "$state" != "$(cat "$folder/installed" 2>/dev/null)" ] || exit 0

"$here/../../tools/arm-setup"
if ! command -v gcc >/dev/null || ! python3.11 -c 'import ensurepip' 2>/dev/null; then
    command -v apt-get >/dev/null || fail "needs gcc and Python 3.11 with venv"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-venv >&2
fi
gcc -O2 -Wall -Wextra -shared -fPIC -o "$folder/libcount.so" "$here/count.c"

python3.11 -m venv "$folder/host"
"$folder/host/bin/pip" install -q -r "$here/requirements-host.txt"
# Its Python part needs PyTorch; the program inside of the package does not.
"$folder/host/bin/pip" install -q --no-deps -c "$here/../peers/requirements-runtimes.txt" pnnx

python=({,lib}python3.11-minimal libpython3.11-stdlib {,lib}python3.11 libc6 libstdc++6 libgcc-s1 libgomp1 zlib1g libexpat1
    libffi8 libssl3 liblzma5 libbz2-1.0 libuuid1 libsqlite3-0 libreadline8 libncursesw6 libtinfo6 libdb5.3)
unpack arm64 "${python[@]}"
unpack armhf "${python[@]}" python3-numpy python3-pkg-resources libblas3 liblapack3 libgfortran5
# Installing would have made these links.
for library in blas lapack; do
    ln -s "$library/lib$library.so.3" "$folder/python-armhf/usr/lib/arm-linux-gnueabihf/"
done
wheels aarch64
wheels armv7l

v8="fp asimd evtstrm crc32 cpuid"
board cortex-a53 arm64 8 0x0 0xd03 4 0x00000000410fd034 "$v8"
board cortex-a76 arm64 8 0x4 0xd0b 1 0x00000000414fd0b1 "$v8 aes pmull sha1 sha2 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
board cortex-a7 armhf 7 0x0 0xc07 5 0x00000000410fc075 "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae"
echo "$state" >"$folder/installed"
