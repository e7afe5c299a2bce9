#!/usr/bin/env bash
# A real systemd as PID 1 of its own namespaces, over a copy of / that is thrown away.
# helpers/systemdbox.py talks to it:
#
#   unshare --mount systemdbox.sh keep [FROM TO]...    FROM is TO in the box, read-only
#
# It prints a folder. What is put below its "layer" lies over / in the box. A line on
# stdin boots it into that target, and the pid of the box's PID 1 is printed when that
# one answers. When it is off the next line boots it again, with what was written before:
# that is in the folder's "mount/upper", for whoever looks through this process's root.
# When stdin ends, because its owner wants so or has been killed, nothing is left.
set -euo pipefail
umask 022

PATIENCE=400 # looks at a box that boots, 50 ms apart

# What a box must not have: it would speak to the host, or wait for hardware.
MASKED=(
    dev-hugepages.mount
    kmod-static-nodes.service
    proc-sys-fs-binfmt_misc.automount
    sys-fs-fuse-connections.mount
    sys-kernel-config.mount
    sys-kernel-debug.mount
    sys-kernel-tracing.mount
    systemd-binfmt.service
    systemd-firstboot.service
    systemd-journald-audit.socket
    systemd-modules-load.service
    systemd-networkd.service
    systemd-pstore.service
    systemd-random-seed.service
    systemd-remount-fs.service
    systemd-resolved.service
    systemd-sysctl.service
    systemd-timesyncd.service
    systemd-udevd.service
)

# What reaches past the namespaces, to the clock and the log of the machine.
DROPPED=-sys_time,-sys_module,-sys_rawio,-syslog,-audit_control,-audit_read,-wake_alarm

# -- outside the box ------------------------------------------------------------------

keep() {
    local target
    folder=$(mktemp --directory --tmpdir queuectl-box-XXXXXX)
    mkdir "$folder/layer" "$folder/mount"
    hierarchy=/sys/fs/cgroup/unified
    [ -d "$hierarchy" ] || hierarchy=/sys/fs/cgroup
    cgroup=$hierarchy/${folder##*/}
    outer=
    trap end EXIT
    # The disk of the box. It is nobody's but the keeper's, and so goes with it.
    mount -t tmpfs -o mode=755 box "$folder/mount"
    mkdir "$folder/mount/upper" "$folder/mount/work" "$folder/mount/root"
    echo "$folder"
    while read -r target; do
        switch_off
        switch_on "$target" "$@"
    done
}

switch_on() {
    mkdir "$cgroup"
    # If this keeper is killed the kernel ends unshare, and with it the box.
    setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid --fork \
        --kill-child=KILL "$BASH" "$0" enter "$folder" "$cgroup" "$@" \
        </dev/null >"$folder/log" 2>&1 &
    outer=$!
    await_systemd
}

await_systemd() {
    local look inner
    for ((look = 0; look < PATIENCE; look++)); do
        [ -n "$(jobs -r)" ] || break # unshare, or what runs in its stead, has failed
        inner=$(inner_of "$outer")
        if [ -n "$inner" ] && [ -e "/proc/$inner/root/.box" ] &&
            [ -S "/proc/$inner/root/run/systemd/private" ]; then
            echo "$inner"
            return
        fi
        sleep 0.05
    done
    cat "$folder/log" >&2
    echo "systemd did not come up in the box" >&2
    exit 1
}

# Usage: inner_of PID - the one child of unshare: the box's PID 1; nothing without one.
inner_of() {
    { cat "/proc/$1/task/$1/children" 2>/dev/null || true; } | tr -d ' '
}

switch_off() {
    local inner again
    if [ -n "$outer" ]; then
        # A namespace's PID 1 has ended only when all that is in there has.
        inner=$(inner_of "$outer")
        [ -z "$(jobs -r)" ] || kill -KILL "${inner:-$outer}" 2>/dev/null || true
        wait "$outer" 2>/dev/null || true
        outer=
    fi
    for again in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$cgroup" ] || break
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep "0.$again"
    done
}

end() {
    switch_off
    umount --lazy "$folder/mount" 2>/dev/null || true
    rm -rf --one-file-system "$folder"
}

# -- inside its namespaces, before systemd ----------------------------------------------

# Only the future PID 1 is in the box's cgroup. It must be there before the namespace of
# cgroups is made, which has its root where its maker is.
enter() {
    local folder=$1 cgroup=$2
    shift 2
    echo 0 >"$cgroup/cgroup.procs"
    exec unshare --cgroup "$BASH" "$0" boot "$folder" "$@"
}

boot() {
    local folder=$1 root=$1/mount/root target=$2
    shift 2
    mount --make-rprivate /
    mount -t overlay box "$root" -o \
        "lowerdir=/,upperdir=$folder/mount/upper,workdir=$folder/mount/work"
    if [ ! -e "$root/.box" ]; then
        tame "$root"
        cp --archive "$folder/layer/." "$root/"
        : >"$root/.box"
    fi
    while [ $# -gt 0 ]; do
        lend "$1" "$root$2"
        shift 2
    done
    kernel_file_systems "$root"
    devices "$root/dev"
    cd "$root"
    mkdir -p .outside
    pivot_root . .outside
    umount --lazy /.outside
    mount --make-rshared / # systemd leaves that to whoever makes a container
    exec env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        setpriv "--bounding-set=$DROPPED" /lib/systemd/systemd \
        "--unit=$target" --show-status=no --log-target=journal
}

# Nothing that the machine itself has enabled starts in the box.
tame() {
    local unit units=$1/etc/systemd/system
    rm -rf "$units"/*.wants "$units"/*.requires
    : >"$1/etc/fstab"
    for unit in "${MASKED[@]}"; do
        ln -sfn /dev/null "$units/$unit"
    done
}

lend() {
    mkdir -p "$2"
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

kernel_file_systems() {
    mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
    lend "$1/proc/sys" "$1/proc/sys"
    # The kernel is the machine's, and so each boot of the box would be the same one.
    cat /proc/sys/kernel/random/uuid >"$1/.boot-id"
    mount --bind "$1/.boot-id" "$1/proc/sys/kernel/random/boot_id"
    mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$1/sys"
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$1/sys/fs/cgroup"
    mount -t tmpfs -o nosuid,nodev,mode=755 run "$1/run"
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmp "$1/tmp"
}

devices() {
    local device name major minor
    mount -t tmpfs -o nosuid,mode=755 dev "$1"
    for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        IFS=: read -r name major minor <<<"$device"
        mknod -m 666 "$1/$name" c "$major" "$minor"
    done
    mkdir "$1/pts" "$1/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$1/pts"
    mount -t tmpfs -o nosuid,nodev,mode=1777 shm "$1/shm"
    ln -s pts/ptmx "$1/ptmx"
    ln -s /proc/self/fd "$1/fd"
    ln -s fd/0 "$1/stdin"
    ln -s fd/1 "$1/stdout"
    ln -s fd/2 "$1/stderr"
}

"$@"
