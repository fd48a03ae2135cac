/** What the tests of guests of libvirt that take the wire have alike: its two ends, and what is left of them. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { virsh } from '../../../lab/libvirt/daemon.ts';
import { ownTree } from '../../../lab/libvirt/mounts.ts';
import { processesInNamespaces, type LabProcess } from '../../../lab/processes.ts';
import { labHost, type Lab } from '../../../lab/state.ts';
import { until } from '../../until.ts';

const WAIT_MS = 90_000;

export async function receivers(lab: Lab, host: string): Promise<LabProcess[]> {
  const inode = lab.namespaces[labHost(lab, host).namespace];
  const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
  return all.filter(({ argv }) => argv.some((word) => /\/bin\/receiver\.[jt]s$/.test(word)));
}

/** Of the wire, by the hosts' own names for them. */
async function sockets(lab: Lab, host: string): Promise<string[]> {
  const directory = path.join(ownTree(labHost(lab, host)), 'var/lib/libvirt/qemu');
  return (await readdir(directory)).filter((name) => name.startsWith('godwit-'));
}

/** Resolves once neither host has a receiver or a socket of the wire. */
export async function untilNoWire(lab: Lab): Promise<void> {
  await until('both ends to be gone', WAIT_MS, async () => {
    const all = ['a', 'b'].flatMap((host) => [receivers(lab, host), sockets(lab, host)] as const);
    return (await Promise.all(all)).flat().length === 0 ? true : undefined;
  });
}

/** Resolves once libvirt's job at the source says what matches. */
export async function untilJob(lab: Lab, guest: string, what: RegExp): Promise<void> {
  await until(`its job to say ${what.source}`, WAIT_MS, async () => {
    const job = await virsh(lab, 'a', ['domjobinfo', guest]).catch(() => '');
    return what.test(job) ? true : undefined;
  });
}
