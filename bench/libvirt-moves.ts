import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { libvirtSection, virsh } from '../lab/libvirt/daemon.ts';
import type { Probe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import type { BenchOptions } from './contract.ts';

/** What the benchmarks of libvirt's guests have alike. */

const SETTLE_MS = 15_000;

/** A move by hand: the flags, limits and certificates that Godwit orders with, and some more. */
export interface HandOrder {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly flags?: readonly string[];
  readonly maxDowntimeMs: number;
  readonly deadlineMs: number;
}

/** `virsh migrate`; how long it took, ms. */
export async function byVirsh(lab: Lab, order: HandOrder): Promise<number> {
  const { guest, from, to, flags = [], maxDowntimeMs, deadlineMs } = order;
  const { hosts } = libvirtSection(lab, from) as { hosts: Record<string, { uri: string }> };
  const always = ['--live', '--p2p', '--tls', '--persistent', '--undefinesource'];
  await virsh(lab, from, ['migrate-setmaxdowntime', guest, String(maxDowntimeMs)]);
  const begun = systemClock.monotonicMs();
  const words = ['migrate', ...always, ...flags, guest, hosts[to]?.uri ?? ''];
  await virsh(lab, from, words, { deadlineMs });
  return systemClock.monotonicMs() - begun;
}

/** How long libvirt says that its last job of a guest took, by the host to which that went. */
export async function jobMs(lab: Lab, guest: string, host: string): Promise<number> {
  const text = await virsh(lab, host, ['domjobinfo', guest, '--completed', '--keep-completed']);
  return Number(/^Time elapsed:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

/** Undefined where the guest answers its client no more: an emulated one may hang or start anew, whoever moves it. */
export async function gapOf(client: Probe, signal: AbortSignal): Promise<number | undefined> {
  try {
    const { connectionKept, clientGapMs } = await client.settle(SETTLE_MS, signal);
    return connectionKept ? clientGapMs : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/**
 * Where the libvirt of `--libvirt VERSION` lies unpacked; undefined for the machine's own. RangeError where there is none of
 * that version.
 */
export async function packagesOf({ words }: Pick<BenchOptions, 'words'>) {
  const wanted = words?.libvirt;
  if (wanted === undefined) return undefined;
  const packages = path.join(cacheDirectory(), 'libvirt/backports');
  const found = await readFile(path.join(packages, 'version'), 'utf8').catch(() => 'none');
  if (`${found.trim()}.`.startsWith(`${wanted}.`)) return packages;
  throw new RangeError(
    `--libvirt ${wanted}: there is ${found.trim()} (\`bash tools/setup.sh --only libvirt\`)`,
  );
}
