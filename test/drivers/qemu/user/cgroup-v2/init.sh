#!/bin/sh
# PID 1 of a guest with cgroup v2 alone: runs the program of the test, and turns the machine off.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /godwit
node --disable-warning=ExperimentalWarning test/drivers/qemu/user/cgroup-v2/inside.ts 2>&1
poweroff -f
