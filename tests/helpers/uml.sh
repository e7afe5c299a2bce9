#!/usr/bin/env bash
# The first process of the kernel that helpers/uml.py starts: makes the copy of / and
# becomes its systemd. Its folder, in which it lies, has what it needs.
set -euo pipefail
exec </dev/null >/dev/console 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
trap 'echo "no box: line $LINENO of $0" && poweroff --force --force' EXIT

folder=${0%/*}
root=/mnt/root

# Where there is no kmod there is no insmod either. 313 is finit_module(2).
load() {
    "$folder/python" -c 'if True:
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(313, os.open(sys.argv[1], os.O_RDONLY), b"", 0):
            sys.exit(os.strerror(ctypes.get_errno()))' "$1"
}

# The layer lies below / too, and so has to be another mount to be one more layer.
overlay() {
    mount -t tmpfs -o mode=755 box /mnt
    mkdir /mnt/upper /mnt/work /mnt/layer "$root"
    mount -t hostfs -o "$folder/layer" layer /mnt/layer
    mount -t overlay box "$root" -o \
        lowerdir=/mnt/layer:/,upperdir=/mnt/upper,workdir=/mnt/work
}

mount -t proc proc /proc
load "$folder/overlay.ko"
overlay
bash "$folder/systemdbox.sh" tame "$root"
mount --no-mtab --move /dev "$root/dev"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$root/run"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp "$root/tmp"
while read -r from to; do # read-only, as / is
    mkdir -p "$root$to"
    mount --bind "$from" "$root$to"
done <"$folder/lent"
mkdir "$root/run/outside"
mount -t hostfs -o "$folder/outside" outside "$root/run/outside"
: >"$root/.box"
umount /proc
cd "$root"
mkdir -p .outside
pivot_root . .outside
umount --lazy /.outside
exec chroot . /lib/systemd/systemd \
    --unit=program.service --show-status=no --log-target=journal
