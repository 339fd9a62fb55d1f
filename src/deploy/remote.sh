# The remote side of `macula deploy`: sent over SSH and run by the shell there. POSIX, because a device may have only
# busybox. Output: lines of a key and a value; an error is one sentence on standard error.
#
# files/SHA256       programs and bundles, named by content
# releases/ID        a program, a bundle and their start script
# current            link to the release that serves
# trial              while `current` is pending: the previous release, or `none`
# start-id           the name of the last start, which the device writes to STORE.started
set -eu
umask 022
action=$1 dir=$2
shift 2

digest() { sha256sum "$1" | cut -d ' ' -f 1; }

# Whether file $1 has digest $2. The name alone proves nothing: the disk may be damaged or full.
is_whole() { [ -f "$1" ] && [ "$(digest "$1")" = "$2" ]; }

current() { readlink current 2>/dev/null | sed 's|.*/||'; }

# ---- The service: systemd, or a shell script that restarts it -------------------------------------------------------

unit=macula-device.service

has_systemd() { [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; }

# The process ID in the file may belong to another process by now.
supervisor() {
    pid=$(cat pid 2>/dev/null) || return 1
    kill -0 "$pid" 2>/dev/null && grep -q "$PWD/supervise" "/proc/$pid/cmdline" 2>/dev/null
}

is_running() {
    case $manager in
        systemd) systemctl is-active --quiet "$unit" ;;
        *) supervisor ;;
    esac
}

stop() {
    case $manager in
        systemd) systemctl stop "$unit" 2>/dev/null || true ;;
        *)
            if supervisor; then
                kill "$pid"
                for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do supervisor || break; sleep 1; done
                if supervisor; then echo "the running device does not stop" >&2; exit 1; fi
            fi
            rm -f pid ;;
    esac
}

start() {
    case $manager in
        systemd)
            cp current/unit "/etc/systemd/system/$unit"
            systemctl daemon-reload
            systemctl enable --quiet "$unit"
            systemctl start "$unit" || true ;;
        *)
            write_supervisor
            [ ! -f log ] || mv -f log log.before
            : > log
            rm -f ended
            setsid sh "$PWD/supervise" </dev/null >/dev/null 2>&1 &
            echo $! > pid ;;
    esac
}

write_supervisor() {
    cat > supervise.new <<'END'
# Keeps the device of this folder running; written by `macula deploy`.
cd "$(dirname "$0")" || exit 1
echo $$ > pid
child= failures=0
trap 'kill "$child" 2>/dev/null; wait "$child"; exit 0' TERM INT
while :; do
    began=$(date +%s)
    sh current/start >> log 2>&1 &
    child=$!
    wait "$child"
    code=$?
    # 2 bad input, 3 bundle refused: a restart would change nothing.
    case $code in 0|2|3) echo "$code" > ended; exit "$code" ;; esac
    # A port in use or an unplugged line may pass; after five quick failures it gives up.
    [ $(($(date +%s) - began)) -lt 60 ] || failures=0
    failures=$((failures + 1))
    if [ "$failures" -ge 5 ]; then echo "$code" > ended; exit "$code"; fi
    sleep 1
done
END
    mv -f supervise.new supervise
}

# The last line of the service's log.
last_words() {
    case $manager in
        systemd) journalctl --unit "$unit" --lines 1 --output cat --quiet 2>/dev/null ;;
        *) tail -n 1 log 2>/dev/null ;;
    esac
}

# Names the next start.
name_start() {
    printf '%s' "$1" > start-id.new
    mv -f start-id.new start-id
}

# Whether the device of the last start has its line: it reports this itself, because another one may answer. $1 is its store.
has_line() {
    # A release of an earlier program does not report its start.
    grep -q MACULA_START current/start || return 0
    [ "$(sed -n 's/^start //p' "$1.started" 2>/dev/null)" = "$(cat start-id)" ] || return 1
    [ -d "/proc/$(sed -n 's/^pid //p' "$1.started")" ]
}

# Points `current` at a release atomically.
point_at() {
    rm -f current.new
    ln -s "releases/$1" current.new
    mv -T -f current.new current
}

# ---- Actions -------------------------------------------------------------------------------------------------------

mkdir -p "$dir"
cd "$dir"
dir=$(pwd)
manager=supervised
case $action in
    *:plain) action=${action%:plain} ;;
    *) if has_systemd; then manager=systemd; fi ;;
esac

case $action in
    # Describes the machine and its service manager.
    about)
        echo "system $(uname -s)"
        echo "machine $(uname -m)"
        echo "manager $manager" ;;

    # SHA256 …: the current release, and which files are complete.
    probe)
        command -v sha256sum >/dev/null || { echo "sha256sum is missing on this machine" >&2; exit 1; }
        mkdir -p files releases
        echo "dir $dir"
        echo "current $(current)"
        echo "trial $(cat trial 2>/dev/null)"
        if is_running; then echo "running yes"; fi
        for sha; do if is_whole "files/$sha" "$sha"; then echo "have $sha"; fi; done ;;

    # SHA256 MODE, content on standard input: stores a file atomically.
    receive)
        part=files/.$1.part
        cat > "$part"
        if ! is_whole "$part" "$1"; then rm -f "$part"; echo "the received file does not match its SHA-256" >&2; exit 1; fi
        chmod "$2" "$part"
        sync "$part" 2>/dev/null || sync
        mv -f "$part" "files/$1" ;;

    # ID START UNIT RUNNER ADDRESS [NAME SHA256] …: makes a release of stored files.
    release)
        id=$1
        rm -rf "releases/.$id"
        mkdir "releases/.$id"
        printf '%s' "$2" > "releases/.$id/start"
        printf '%s' "$3" > "releases/.$id/unit"
        printf '%s' "$4" > "releases/.$id/runner"
        printf '%s' "$5" > "releases/.$id/address"
        shift 5
        same=yes
        while [ $# -gt 0 ]; do
            ln "files/$2" "releases/.$id/$1"
            [ "files/$2" -ef "releases/$id/$1" ] || same=
            shift 2
        done
        # An equal release stays in its place: it may be serving.
        if [ -n "$same" ]; then rm -rf "releases/.$id"; exit 0; fi
        rm -rf "releases/$id"
        mv "releases/.$id" "releases/$id" ;;

    # ID ARGUMENT …: runs the program of a release.
    run)
        cd "releases/$1"
        shift
        # Unquoted on purpose: a runner may have arguments.
        exec $(cat runner) ./macula "$@" ;;

    # ID STORE START: starts a release, pending.
    switch)
        stop
        # An interrupted deployment has both already, from the previous release.
        if [ ! -f trial ]; then
            rm -f "$2.before"
            if [ -f "$2" ]; then
                (umask 077 && cp -p "$2" "$2.before")
                sync "$2.before" 2>/dev/null || sync
            fi
            now=$(current)
            echo "${now:-none}" > trial.new
            mv -f trial.new trial
        fi
        point_at "$1"
        name_start "$3"
        start ;;

    # ID SECONDS STORE: waits until the device replies and keeps running.
    await)
        cd "releases/$1"
        runner=$(cat runner) address=$(cat address)
        for _ in $(seq "$2"); do
            if (cd "$dir" && has_line "$3") &&
                $runner ./macula status --device "$address" --json >"$dir/status.new" 2>/dev/null; then
                # A device that stops at once does not serve.
                sleep 1
                if (cd "$dir" && is_running && has_line "$3"); then
                    cat "$dir/status.new"
                    rm -f "$dir/status.new"
                    exit 0
                fi
            fi
            (cd "$dir" && is_running) || break
            sleep 1
        done
        cd "$dir"
        rm -f status.new
        words=$(last_words)
        echo "the device does not serve: ${words:-no output}" >&2
        exit 1 ;;

    # STORE START: rolls back to the previous release.
    back)
        before=$(cat trial)
        stop
        if [ -f "$1.before" ]; then mv -f "$1.before" "$1"; else rm -f "$1"; fi
        if [ "$before" = none ]; then
            [ "$manager" = supervised ] || { systemctl disable --quiet "$unit"; rm -f "/etc/systemd/system/$unit"; }
            rm -f current trial
        else
            point_at "$before"
            rm -f trial
            name_start "$2"
            start
        fi
        echo "before $before" ;;

    # STORE: confirms the current release; removes releases older than the previous one, and unused files.
    confirm)
        [ -f trial ] || exit 0
        before=$(cat trial)
        rm -f trial "$1.before"
        now=$(current)
        for release in releases/*; do
            case ${release##*/} in "$now"|"$before") ;; *) rm -rf "$release" ;; esac
        done
        for file in files/* files/.*.part; do
            used=
            for linked in releases/*/*; do [ ! "$file" -ef "$linked" ] || used=yes; done
            [ -n "$used" ] || rm -f "$file"
        done ;;

    *) echo "no action $action" >&2; exit 1 ;;
esac
