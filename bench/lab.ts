import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { labDown } from '../lab/down.ts';
import { readGuestStats } from '../lab/guest/talk.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { processesInNamespaces, type LabProcess } from '../lab/processes.ts';
import { readLabState, type Lab } from '../lab/state.ts';
import { labUp, type LabRequest } from '../lab/up.ts';
import { seenQemus, type SeenQemu } from '../lab/witness/qemus.ts';
import type { BenchOptions } from './contract.ts';
import { labNames } from '../src/cli/connection/labs.ts';

/** Two hosts with agents, unless more are asked for, and a client, for as long as a benchmark runs. */

const PREFIX = 'bench-';
const QUIET_MS = 30_000;
const DIRTY_MS = 60_000;

interface Suffix {
  /** Of the name, where there is more than one at a time. */
  readonly suffix?: string;
}

/** Builds a lab, hands it to `work`, and takes it down however that ends. */
export async function withLab<T>(
  { signal, say }: BenchOptions,
  work: (lab: Lab) => Promise<T>,
  { suffix = '', ...request }: Omit<LabRequest, 'name' | 'signal'> & Suffix = {},
): Promise<T> {
  await clearDebris(say);
  const name = `${PREFIX}${process.pid.toString(36)}${suffix}`;
  try {
    return await work(await labUp({ name, hosts: 2, ...request, signal }));
  } finally {
    await labDown(name);
  }
}

/** Takes down what a benchmark that was killed has left. */
async function clearDebris(say: (text: string) => void): Promise<void> {
  for (const name of await labNames()) {
    if (!name.startsWith(PREFIX)) continue;
    const state = await readLabState(name).catch(() => undefined);
    if (state !== undefined && isAlive(state.builder)) continue;
    say(`taking down lab ${name}, which a benchmark that was killed left up`);
    await labDown(name);
  }
}

/** The other of a lab's two hosts. */
export function otherHost(lab: Lab, host: string): string {
  const other = lab.hosts.find((each) => each !== host);
  if (other === undefined) throw new RangeError(`lab ${lab.name} has one host only`);
  return other;
}

/** The movers that run now on any host. */
export async function movers(lab: Lab): Promise<LabProcess[]> {
  const all = await processesInNamespaces(new Set(Object.values(lab.namespaces)));
  return all.filter(({ argv }) => argv.some((word) => word.endsWith('/bin/mover.ts')));
}

/** Waits until no mover is left: they tidy up after the command that asked for the move has ended. */
export async function untilQuiet(lab: Lab, signal: AbortSignal): Promise<void> {
  await withDeadline('movers to end', QUIET_MS, signal, async (inner) => {
    while ((await movers(lab)).length > 0) await systemClock.sleep(100, inner);
  });
}

/** Waits until the guest has dirtied its memory for about `forMs` more at its rate; nothing when it does not. */
export async function untilDirtied(
  lab: Lab,
  guest: { readonly name: string; readonly dirtyBytesPerSecond: number },
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { name, dirtyBytesPerSecond } = guest;
  if (dirtyBytesPerSecond === 0) return;
  const before = await readGuestStats(lab, name, { signal });
  const wanted = before.dirtiedBytes + (dirtyBytesPerSecond * forMs) / 1000;
  const deadlineMs = Math.max(DIRTY_MS, 2 * forMs);
  await withDeadline(`${name} to dirty its memory`, deadlineMs, signal, async (inner) => {
    for (;;) {
      const { dirtiedBytes } = await readGuestStats(lab, name, { signal: inner });
      if (dirtiedBytes >= wanted) return;
      await systemClock.sleep(250, inner);
    }
  });
}

/** Waits until the guest has written all that it rewrites once. */
export async function untilWritten(
  lab: Lab,
  guest: Parameters<typeof untilDirtied>[1] & { readonly dirtyBytes: number },
  signal: AbortSignal,
): Promise<void> {
  const { dirtyBytes, dirtyBytesPerSecond } = guest;
  await untilDirtied(lab, guest, (dirtyBytes / Math.max(1, dirtyBytesPerSecond)) * 1000, signal);
}

/** The guest's QEMU on a host, with the monitor that nobody else uses: the last of its command line. */
export async function witnessedQemu(
  lab: Lab,
  guest: string,
  host: string,
): Promise<SeenQemu & { readonly witness: string }> {
  const seen = (await seenQemus(lab)).filter((qemu) => qemu.guest === guest && qemu.host === host);
  const [qemu] = seen;
  const witness = qemu?.monitors.at(-1);
  if (qemu === undefined || witness === undefined || seen.length > 1) {
    throw new Error(
      `${seen.length} QEMUs of ${guest} with a monitor on host ${host}, expected one`,
    );
  }
  return { ...qemu, witness };
}
