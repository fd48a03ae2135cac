import { systemClock } from '../src/clock.ts';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Scope } from '../src/wire/cache/scope.ts';
import { Store } from '../src/wire/cache/store.ts';
import { withDeadline } from '../src/deadline.ts';
import { runCommand } from '../lab/command.ts';
import { inHost } from '../lab/entry.ts';
import { openProbe } from '../lab/probe/probe.ts';
import { migrationLink } from '../lab/plan.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { formatRate } from '../src/protocol/quantity.ts';
import type { DataPath, Report } from '../src/protocol/public/migration.ts';
import { moveByHand, type HandSetting } from './by-hand.ts';
import { godwitMigrate } from './godwit.ts';
import { untilQuiet, witnessedQemu } from './lab.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import { spans, streamTimes } from './stream-times.ts';

/** One move of one guest, measured alike whoever made it. */
export interface MoveResult {
  /** From the source QEMU's `setup` to its `completed`. */
  readonly totalMs: number;
  /** What the source's migration link sent meanwhile, as its own counter says. */
  readonly linkBytes: number;
  readonly clientGapMs: number;
  /** Godwit's alone. */
  readonly report?: Report;
}

export interface MoveOf {
  readonly lab: Lab;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  /** What it dirties, bytes/s: it is looked at before each move whether it does. */
  readonly dirtyBytesPerSecond: number;
  /** Default 30. */
  readonly maxDowntimeMs?: number;
  readonly signal: AbortSignal;
}

export const MAX_DOWNTIME_MS = 30;
const MIB = 1024 ** 2;
/** Of what it should: emulated, on a busy machine, it is slower at times. */
const MIN_DIRTIED = 0.5;
/** Of each GiB: as many as QEMU takes. */
const SAMPLED_PAGES = 16_384;
/** Several looks of two seconds, and what a busy machine makes of them. */
const LOOK_MS = 30_000;
const SETTLE_MS = 120_000;
const MOVE_MS = 600_000;

/** By QEMU's own means where a setting is given, by Godwit on that path otherwise. */
export async function measuredMove(of: MoveOf, by: HandSetting | DataPath): Promise<MoveResult> {
  const { lab, guest, from, signal } = of;
  await untilQuiet(lab, signal);
  const client = await openProbe(lab, guest, { signal });
  await lookedAt(of);
  await client.mark();
  const before = await sentBytes(lab, from, signal);
  const moved = typeof by === 'string' ? await byGodwit(of, by) : await byHand(of, by);
  const linkBytes = (await sentBytes(lab, from, signal)) - before;
  const seen = await client.settle(SETTLE_MS, signal);
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  await client.stop();
  return { ...moved, linkBytes, clientGapMs: seen.clientGapMs };
}

async function lookedAt(of: MoveOf): Promise<void> {
  const { witness } = await witnessedQemu(of.lab, of.guest, of.from);
  const monitor = await Monitor.open(witness, of.signal);
  try {
    await assertDirties(of, (command, args) => monitor.execute(command, args));
  } finally {
    monitor.close();
  }
}

/**
 * By pages that QEMU looks at twice. A guest that lies still would flatter whoever is slow. QEMU says whole MiB/s, rounded
 * down, so that a guest that dirties 1 MiB/s is said to dirty none in some looks: one that lies still is in all of them.
 */
export async function assertDirties(
  { guest, dirtyBytesPerSecond, signal }: Pick<MoveOf, 'guest' | 'dirtyBytesPerSecond' | 'signal'>,
  execute: Execute,
): Promise<void> {
  const what = `${guest} to be seen to dirty ${formatRate(dirtyBytesPerSecond)}`;
  await withDeadline(what, LOOK_MS, signal, async (inner) => {
    let mibPerS = 0;
    while (mibPerS * MIB < dirtyBytesPerSecond * MIN_DIRTIED)
      mibPerS = await dirtiedNow(execute, inner);
  });
}

type Execute = (command: string, args?: Record<string, unknown>) => Promise<unknown>;

/** MiB/s by one look. */
async function dirtiedNow(execute: Execute, signal: AbortSignal): Promise<number> {
  await execute('calc-dirty-rate', { 'calc-time': 2, 'sample-pages': SAMPLED_PAGES });
  for (;;) {
    await systemClock.sleep(100, signal);
    const reported = (await execute('query-dirty-rate')) as Record<string, unknown>;
    if (reported['status'] === 'measured') return Number(reported['dirty-rate']);
  }
}

async function byHand(of: MoveOf, setting: HandSetting) {
  const { lab, from, to, signal, guest } = of;
  const times = await moveByHand({
    lab,
    guest,
    from,
    to,
    maxDowntimeMs: of.maxDowntimeMs ?? MAX_DOWNTIME_MS,
    streamMs: MOVE_MS,
    setting,
    signal,
  });
  return { totalMs: spans(times).totalMs };
}

async function byGodwit(of: MoveOf, dataPath: DataPath) {
  const { lab, from, to, signal, guest, maxDowntimeMs = MAX_DOWNTIME_MS } = of;
  const { witness } = await witnessedQemu(lab, guest, from);
  const left = await Monitor.open(witness, signal);
  try {
    const words = ['--path', dataPath, '--max-downtime', `${maxDowntimeMs}ms`];
    const asked = { guest, to, words, deadlineMs: MOVE_MS };
    const { report } = await godwitMigrate(lab, asked, signal);
    return { totalMs: spans(streamTimes(left.events)).totalMs, report };
  } finally {
    left.close();
  }
}

/** What a host's migration link has sent since it is there. */
export async function sentBytes(lab: Lab, host: string, signal: AbortSignal): Promise<number> {
  const file = `/sys/class/net/${migrationLink(0)}/statistics/tx_bytes`;
  return Number(await runCommand(inHost(lab, host, ['cat', file]), { signal }));
}

const cacheOf = (lab: Lab, host: string): string =>
  path.join(labHost(lab, host).stateDir, 'cache', 'pages');

/** What every host knows of any guest is gone. */
export async function forgetAll(lab: Lab): Promise<void> {
  for (const host of lab.hosts) await rm(cacheOf(lab, host), { recursive: true, force: true });
}

/** A host indexes a file, as an operator does ahead of a first move. */
export async function seed(
  lab: Lab,
  host: string,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const secretFile = path.join(labHost(lab, host).stateDir, 'pki', 'site.secret');
  if (!existsSync(secretFile)) throw new Error(`host ${host} has no site secret`);
  const secret = Buffer.from((await readFile(secretFile, 'utf8')).trim(), 'hex');
  const store = await Store.open({
    directory: cacheOf(lab, host),
    mostBytes: CACHE_BYTES,
    scope: new Scope(secret, { with: 'host' }),
  });
  await store.seed(file, signal);
  store.close();
}

export const CACHE_BYTES = 2 * 1024 ** 3;
