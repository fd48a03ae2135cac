import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { amongContainers, podmanOn } from '../../../lab/podman/hosts.ts';
import { runCommand } from '../../../lab/command.ts';
import { labHost, type Lab } from '../../../lab/state.ts';

/** What podman, the runtimes and the kernel say of a container on a lab's hosts, without asking Godwit. */

/** The hosts whose podman has a record of the container, with its state there. */
export async function podmanKnows(lab: Lab, id: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const host of lab.hosts) {
    const format = ['--no-trunc', '--format', '{{.ID}} {{.State}}'];
    const text = await podmanOn(lab, host, ['ps', '--all', ...format]);
    const line = text.split('\n').find((each) => each.startsWith(id));
    if (line !== undefined) found[host] = line.slice(id.length + 1).trim();
  }
  return found;
}

const LOOK = `
ls -d /run/runc/$1 /run/crun/$1 /run/containers/storage/overlay-containers/$1 /var/lib/containers/storage/overlay-containers/$1 2>/dev/null
grep -o "/[^ ]*$1[^ ]*" /proc/self/mountinfo
nft list tables bridge | grep godwit-
cat /sys/fs/cgroup/freezer/libpod_parent/libpod-$1/cgroup.procs 2>/dev/null | sed 's/^/process /'
true
`;

/** What a host has of a container that is not there: states, mounts, rules, processes, directories. */
export async function podmanLeftovers(lab: Lab, host: string, id: string): Promise<string[]> {
  const argv = await amongContainers(lab, host, ['sh', '-c', LOOK, 'look', id]);
  const text = await runCommand(argv);
  const { stateDir } = labHost(lab, host);
  const directories = await readdir(path.join(stateDir, 'containers')).catch(() => []);
  const own = directories.filter((each) => each.endsWith(id.slice(0, 12)));
  return [...text.split('\n').filter((each) => each !== ''), ...own];
}

/** Processes of conmon that look after the container, on all hosts of all labs of this machine. */
export async function conmonsOf(id: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const words = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (path.basename(words[0] ?? '') === 'conmon' && words[words.indexOf('-c') + 1] === id)
      found.push(Number(entry));
  }
  return found;
}
