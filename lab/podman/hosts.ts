import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { godwitError, type GodwitError } from '../../src/errors.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { pids } from '../../src/system/processes/process.ts';
import { runCommand } from '../command.ts';
import { inHost } from '../entry.ts';
import { keptDirectories } from '../libvirt/kept.ts';
import { mountKeeper, startMountKeeper } from '../mount-keeper.ts';
import { GUEST_NETWORK, HOST_BRIDGE } from '../plan.ts';
import { signalProcess } from '../processes.ts';
import { labHost, type Lab } from '../state.ts';

/**
 * podman has fixed places below /etc, /var and /run, and names its cgroups by the container's id. Each host of a lab with
 * podman has mounts and a subtree of cgroups of its own. Its agent and its containers are in both.
 */

const KEEPER_MARK = 'GODWIT_LAB_PODMAN';
const START_MS = 30_000;
/** podman's network of the lab: a bridge that the lab made. */
export const NETWORK = 'lab';

/** The programs that setup brought. */
export function podmanPrograms(): string {
  return path.join(cacheDirectory(), 'podman', 'bin');
}

const cgroupName = (lab: string, host: string): string => `godwit-lab-${lab}-${host}`;

/** $1: the host's own tree, $2: its cgroup, $3: made once all is mounted, then directories that stay as they are. */
const SCRIPT = `
set -e
own=$1 group=$2 ready=$3
shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=0700 tmpfs /mnt
index=0
for kept; do
  index=$((index + 1))
  mkdir "/mnt/$index"
  mount --rbind "$kept" "/mnt/$index"
done
mkdir /mnt/own
mount --rbind "$own" /mnt/own
mount -t overlay -o "lowerdir=/etc,upperdir=$own/etc,workdir=$own/etc.work" overlay /etc
for place in var run; do mount --bind "/mnt/own/$place" "/$place"; done
index=0
for kept; do
  index=$((index + 1))
  mkdir -p "$kept"
  mount --rbind "/mnt/$index" "$kept"
done
umount -R /mnt
mount -t tmpfs -o mode=0777 tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /sys/fs/cgroup
kinds=$(sed -n 's/^[1-9][0-9]*:\\([^:]*\\):.*/\\1/p' /proc/self/cgroup)
on() { case "$1" in name=*) echo "none,$1" ;; *) echo "$1" ;; esac; }
at() { echo "/sys/fs/cgroup/\${1#name=}"; }
for kind in $kinds; do
  mkdir "$(at "$kind")"
  mount -t cgroup -o "$(on "$kind")" cgroup "$(at "$kind")"
  mkdir -p "$(at "$kind")/$group"
  if [ "$kind" = cpuset ]; then
    for each in cpuset.cpus cpuset.mems; do cat "$(at cpuset)/$each" >"$(at cpuset)/$group/$each"; done
  fi
  if [ "$kind" = memory ]; then echo 1 >"$(at memory)/$group/memory.use_hierarchy" 2>/dev/null || true; fi
  echo $$ >"$(at "$kind")/$group/cgroup.procs"
done
export kinds ready
exec unshare --cgroup bash -ec '
for kind in $kinds; do
  place="/sys/fs/cgroup/\${kind#name=}"
  umount "$place"
  case "$kind" in name=*) kind="none,$kind" ;; esac
  mount -t cgroup -o "$kind" cgroup "$place"
done
: >"$ready"
exec sleep infinity'
`;

const CONTAINERS_CONF = (programs: string): string => `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["${programs}"]
conmon_path = ["${programs}/conmon"]
[engine.runtimes]
runc = ["${programs}/runc"]
crun = ["${programs}/crun"]
`;

const STORAGE_CONF = `[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`;

const POLICY = '{ "default": [{ "type": "insecureAcceptAnything" }] }\n';

/** Why a lab cannot have podman here; undefined where it can. */
export async function podmanLacks(): Promise<GodwitError | undefined> {
  if (process.getuid?.() !== 0) return godwitError('GODWIT_HOST_LACKS', { what: 'root' });
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) {
    return godwitError('GODWIT_HOST_LACKS', { what: 'cgroups of version 1 for a lab with podman' });
  }
  if (existsSync(path.join(podmanPrograms(), 'podman'))) return undefined;
  const hint = 'Run `tools/setup.sh --only podman` as root.';
  return godwitError('GODWIT_HOST_LACKS', { what: 'podman' }, { hint });
}

/** Makes the mounts and cgroups of each host, and its network of containers. */
export async function startPodmanHosts(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  for (const host of lab.hosts) {
    await makeHost(lab, host, signal);
    const bridge = ['-o', 'mode=unmanaged', `--interface-name=${HOST_BRIDGE}`];
    const plane = ['--subnet', GUEST_NETWORK, '--gateway', '10.88.0.1'];
    await podmanOn(lab, host, ['network', 'create', '--disable-dns', ...bridge, ...plane, NETWORK]);
  }
}

async function makeHost(lab: Lab, host: string, signal: AbortSignal | undefined): Promise<void> {
  const member = labHost(lab, host);
  const own = path.join(member.dir, 'podman');
  const places = ['etc/containers', 'etc.work', 'var/lib', 'var/tmp', 'run/lock', 'run/netns'];
  for (const each of places) await mkdir(path.join(own, each), { recursive: true });
  const etc = path.join(own, 'etc/containers');
  await writeFile(path.join(etc, 'containers.conf'), CONTAINERS_CONF(podmanPrograms()));
  await writeFile(path.join(etc, 'storage.conf'), STORAGE_CONF);
  await writeFile(path.join(etc, 'policy.json'), POLICY);
  const ready = path.join(member.dir, 'podman.ready');
  const words = [own, cgroupName(lab.name, host), ready, ...keptDirectories(lab)];
  const argv = ['unshare', '--mount', 'bash', '-c', SCRIPT, 'podman-host', ...words];
  const keeper = { mark: KEEPER_MARK, argv, ready, log: 'podman.log', startMs: START_MS };
  await startMountKeeper(lab, host, keeper, signal);
}

/** The command line that runs `argv` among a host's own mounts and cgroups. */
export async function amongContainers(
  lab: Lab,
  host: string,
  argv: readonly string[],
): Promise<string[]> {
  const keeper = await mountKeeper(lab, host, KEEPER_MARK);
  const enter = ['nsenter', `--mount=/proc/${keeper}/ns/mnt`, `--cgroup=/proc/${keeper}/ns/cgroup`];
  const join =
    'for each in /sys/fs/cgroup/*/cgroup.procs; do echo $$ >"$each"; done; exec "$0" "$@"';
  return inHost(lab, host, [...enter, 'sh', '-c', join, ...argv]);
}

/** podman on a host, as its owner runs it; its standard output. */
export async function podmanOn(
  lab: Lab,
  host: string,
  args: readonly string[],
  deadlineMs = 60_000,
): Promise<string> {
  const programs = podmanPrograms();
  const env = ['env', `PATH=${programs}:/usr/sbin:/usr/bin:/sbin:/bin`];
  const argv = await amongContainers(lab, host, [...env, 'podman', ...args]);
  return runCommand(argv, { deadlineMs });
}

/** Ends all that runs in the hosts' cgroups, and removes these: containers are in network namespaces of their own. */
export async function removePodmanCgroups(lab: string): Promise<void> {
  const root = '/sys/fs/cgroup';
  const start = cgroupName(lab, '');
  const controllers = await readdir(root).catch(() => []);
  for (const controller of controllers) {
    const groups = await readdir(path.join(root, controller)).catch(() => []);
    for (const name of groups.filter((each) => each.startsWith(start))) {
      await removeGroup(path.join(root, controller, name));
    }
  }
}

async function removeGroup(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const each of entries.filter((one) => one.isDirectory()))
    await removeGroup(path.join(directory, each.name));
  const until = systemClock.monotonicMs() + 10_000;
  for (;;) {
    const text = await readFile(path.join(directory, 'cgroup.procs'), 'utf8').catch(() => '');
    const living = text.split('\n').filter(Boolean).map(Number);
    if (living.length === 0 || systemClock.monotonicMs() > until) break;
    for (const pid of living) if (pids().includes(pid)) signalProcess(pid, 'SIGKILL');
    await writeFile(path.join(directory, 'freezer.state'), 'THAWED').catch(() => undefined);
    await systemClock.sleep(20);
  }
  await rmdir(directory).catch(() => undefined);
}
