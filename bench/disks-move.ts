import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readGuestStats } from '../lab/guest/talk.ts';
import { openProbe } from '../lab/probe/probe.ts';
import { labHost, storageDirectory, type Lab } from '../lab/state.ts';
import type { Report } from '../src/protocol/public/migration.ts';
import { moveByHand } from './by-hand.ts';
import { copyTimes, writesOf, writtenIn, type DiskMove } from './disks-figures.ts';
import { godwitMigrate, godwitPlan } from './godwit.ts';
import { untilQuiet, witnessedQemu } from './lab.ts';
import { Monitor, type QmpEvent } from '../lab/witness/monitor.ts';
import { sentBytes } from './wire-move.ts';

export type Side = 'godwit' | 'hand';

export interface MoveOf {
  readonly lab: Lab;
  readonly guest: string;
  /** The image's name in the guest's directory. */
  readonly image: string;
  readonly from: string;
  readonly to: string;
  /** Further words for `godwit migrate`. */
  readonly words?: readonly string[];
  readonly signal: AbortSignal;
}

export interface DiskMoveResult extends DiskMove {
  readonly report?: Report;
}

/** QEMU stops the guest for any time up to this as it happens to come; also what the last of the disk takes. */
const MAX_DOWNTIME_MS = 100;
const DOWNTIME = ['--max-downtime', `${MAX_DOWNTIME_MS}ms`];
const SETTLE_MS = 120_000;
const MOVE_MS = 900_000;

/** Moves the guest with its disk and measures that alike, whoever does it. */
export async function measuredMove(of: MoveOf, side: Side): Promise<DiskMoveResult> {
  const { lab, guest, from, signal } = of;
  await untilQuiet(lab, signal);
  const allocatedBytes = await allocated(imageFile(of, from));
  // A connection for each move: its window shrinks with every loss, until one that is longer than it would stall.
  const client = await openProbe(lab, guest, { signal });
  const before = await readGuestStats(lab, guest, { signal });
  await client.mark();
  const sent = await sentBytes(lab, from, signal);
  const moved = side === 'hand' ? await byHand(of) : await byGodwit(of);
  const linkBytes = (await sentBytes(lab, from, signal)) - sent;
  const seen = await client.settle(SETTLE_MS, signal);
  await client.stop();
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  const after = await readGuestStats(lab, guest, { signal });
  const { begunAtMs, stoppedAtMs } = copyTimes(moved.events);
  const { memoryBytes, resumedAtMs, wallMs, report } = moved;
  return {
    totalMs: resumedAtMs - begunAtMs,
    clientGapMs: seen.clientGapMs,
    linkBytes,
    memoryBytes,
    allocatedBytes,
    rewrittenBytes: writtenIn(stoppedAtMs - begunAtMs, before, after),
    ...(wallMs === undefined ? {} : { wallMs }),
    ...(report === undefined ? {} : { report, writes: writesOf(report) }),
  };
}

/** A plan of the move that follows: its report has what is predicted of the guest's own requests to its disk. */
export async function planned({ lab, guest, to, signal }: MoveOf): Promise<void> {
  await godwitPlan(lab, { guest, to, words: DOWNTIME }, signal);
}

export function imageFile({ lab, guest, image }: MoveOf, host: string): string {
  return path.join(storageDirectory(lab, host), guest, image);
}

/** What a file takes on its storage. */
export async function allocated(file: string): Promise<number> {
  return (await stat(file)).blocks * 512;
}

interface MoveTrace {
  readonly events: readonly QmpEvent[];
  readonly resumedAtMs: number;
  readonly memoryBytes: number;
  readonly wallMs?: number;
  readonly report?: Report;
}

async function byHand({ lab, guest, from, to, signal }: MoveOf): Promise<MoveTrace> {
  const limits = { maxDowntimeMs: MAX_DOWNTIME_MS, streamMs: MOVE_MS };
  const times = await moveByHand({ lab, guest, from, to, ...limits, disks: true, signal });
  const { events, memoryBytes, resumedAtMs = Number.NaN } = times;
  return { events, memoryBytes, resumedAtMs };
}

/** The times come from the QEMUs themselves over monitors that Godwit does not use. */
async function byGodwit({ lab, guest, from, to, words = [], signal }: MoveOf): Promise<MoveTrace> {
  const { witness } = await witnessedQemu(lab, guest, from);
  const left = await Monitor.open(witness, signal);
  const socket = path.join(labHost(lab, to).stateDir, 'guests', guest, path.basename(witness));
  const opening = Monitor.open(socket, signal);
  // It is waited for below; what goes wrong before then is reported first.
  opening.catch(() => {});
  try {
    const move = { guest, to, words: [...DOWNTIME, ...words], deadlineMs: MOVE_MS };
    const { wallMs, report } = await godwitMigrate(lab, move, signal);
    const resumed = (await opening).events.find(({ event }) => event === 'RESUME');
    const resumedAtMs = resumed?.atMs ?? Number.NaN;
    return {
      events: left.events,
      resumedAtMs,
      memoryBytes: report.bytes ?? Number.NaN,
      wallMs,
      report,
    };
  } finally {
    left.close();
    await opening.then(
      (right) => right.close(),
      () => {},
    );
  }
}
