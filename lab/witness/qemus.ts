import path from 'node:path';
import { type LabProcess, processesInNamespaces } from '../processes.ts';
import { type Lab } from '../state.ts';
import { askQemu } from './monitor.ts';

/** A QEMU found by looking at the machine's processes, whoever started it. */
export interface SeenQemu extends LabProcess {
  readonly host: string;
  readonly guest: string;
  /** Its tap devices, by their -netdev. */
  readonly taps: readonly string[];
  /** Its unix-socket monitors, in the order of its command line. */
  readonly monitors: readonly string[];
}

export interface SeenStatus extends SeenQemu {
  /** QMP's run state, such as running, paused, inmigrate, postmigrate; `silent` when no monitor answers. */
  readonly status: string;
}

/** Every QEMU with a guest's name in the lab's hosts. */
export async function seenQemus(lab: Lab): Promise<SeenQemu[]> {
  const hosts = new Map(
    lab.members.map((member) => [lab.namespaces[member.namespace], member.name] as const),
  );
  const inodes = new Set([...hosts.keys()].filter((inode) => inode !== undefined));
  const found = await processesInNamespaces(inodes);
  return found.flatMap((process) => {
    const host = hosts.get(process.networkNamespace);
    const guest = guestOf(process.argv);
    if (host === undefined || guest === undefined) return [];
    return [
      { ...process, host, guest, taps: tapsOf(process.argv), monitors: monitorsOf(process.argv) },
    ];
  });
}

/** The same with their run states, asked over the witness's monitor (or whichever answers). */
export async function seenStatuses(lab: Lab): Promise<SeenStatus[]> {
  const seen = await seenQemus(lab);
  return Promise.all(seen.map(async (qemu) => ({ ...qemu, status: await statusOf(qemu) })));
}

/** The hosts on which this guest runs right now, as QEMU itself says: exactly one, at any time. */
export async function runningOn(lab: Lab, guest: string): Promise<string[]> {
  const seen = await seenStatuses(lab);
  return seen
    .filter((qemu) => qemu.guest === guest && qemu.status === 'running')
    .map((qemu) => qemu.host);
}

async function statusOf(qemu: SeenQemu): Promise<string> {
  // The witness's monitor is the last one; a migration keeps their order.
  for (const monitor of qemu.monitors.toReversed()) {
    const answer = await askQemu(monitor, 'query-status', {}, 2000).catch(() => undefined);
    const status = (answer as { status?: unknown } | undefined)?.status;
    if (typeof status === 'string') return status;
  }
  return 'silent';
}

function guestOf(argv: readonly string[]): string | undefined {
  if (!path.basename(argv[0] ?? '').startsWith('qemu')) return undefined;
  const name = argv[argv.indexOf('-name') + 1];
  if (!argv.includes('-name') || name === undefined) return undefined;
  return (name.split(',')[0] ?? '').replace(/^guest=/, '');
}

function tapsOf(argv: readonly string[]): string[] {
  return argv.flatMap((word) => {
    const name = /^tap,(?:.*,)?ifname=([^,]+)/.exec(word)?.[1];
    return name === undefined ? jsonTap(word) : [name];
  });
}

/** QEMU takes -netdev as JSON too. */
function jsonTap(word: string): string[] {
  if (!word.startsWith('{') || !word.includes('"tap"')) return [];
  const name = /"ifname":\s*"([^"]+)"/.exec(word)?.[1];
  return name === undefined ? [] : [name];
}

/** From -qmp and -chardev socket options with a path, serial ports and what serves a TPM left out. */
function monitorsOf(argv: readonly string[]): string[] {
  const tpms = argv.flatMap((word) => /^emulator,.*chardev=([^,]+)/.exec(word)?.slice(1, 2) ?? []);
  return argv.flatMap((word, index) => {
    const previous = argv[index - 1];
    if (previous === '-qmp') return /^unix:([^,]+)/.exec(word)?.slice(1, 2) ?? [];
    if (previous !== '-chardev' || !word.startsWith('socket,') || word.includes('id=serial'))
      return [];
    if (tpms.some((id) => word.split(',').includes(`id=${id}`))) return [];
    return /(?:^|,)path=([^,]+)/.exec(word)?.slice(1, 2) ?? [];
  });
}
