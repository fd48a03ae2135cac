/** One cell, from a quiet guest to the verdict. */
import { toGodwitError } from '../src/errors.ts';
import { systemClock } from '../src/clock.ts';
import { openProbe, type Probe } from '../lab/probe/probe.ts';
import { seenStatuses } from '../lab/witness/qemus.ts';
import type { Report } from '../src/protocol/public/migration.ts';
import { cellId, hasDisks, LASTS_MS, type Cell } from './cell.ts';
import { DiskWatch } from './disks/watch.ts';
import type { Injector } from './inject/injector.ts';
import { injectorOf } from './inject/injectors.ts';
import { JournalTail } from './journal-tail.ts';
import { darkMs, judge, whyNotStruck, type CellObservation } from './judge.ts';
import { untilMoment } from './moment.ts';
import { paceOf } from './pace.ts';
import { recoveryMs } from './recovery.ts';
import { remainsOf, type Remains } from './remains.ts';
import type { Scene } from './scene.ts';
import type { Stage } from './stage.ts';
import type { Expectation } from './expectation.ts';
import { Witness } from './witness.ts';

export const GUEST = 'web1';
/** After the fault has cleared. Longer than any recovery that is still one. */
const END_MS = 100_000;
/** For the guest to read all of its memory, on a busy machine. */
export const MEMORY_MS = 30_000;
const POLL_MS = 40;

export interface PlayResult {
  readonly cell: string;
  /** The run that it was played in, and how long that had taken by its end, ms. */
  readonly run?: { readonly id: string; readonly elapsedMs: number };
  /** The fault struck, and all that must hold did. */
  readonly ok: boolean;
  readonly problems: readonly string[];
  /** Why the fault did not strike: the play proves nothing. */
  readonly missed?: string;
  readonly outcome: string;
  readonly error?: string;
  readonly struck?: string;
  readonly recoveryMs?: number;
  /** From the end of the fault to the end of the migration. */
  readonly endMs?: number;
  /** Longest time in which no copy ran, and the longest silence that the client heard. */
  readonly darkMs?: number;
  readonly gapMs?: number;
  readonly tookMs: number;
  readonly migration?: string;
  readonly runningOn?: readonly string[];
  /** Of a cell in which a host loses its power: which host started the guest from its disks. */
  readonly recovered?: string;
}

/** Plays a cell on a guest that runs; leaves the faults cleared and the agents up. */
export async function play(
  stage: Stage,
  cell: Cell,
  expect: Expectation,
  chance: number,
): Promise<PlayResult> {
  const start = systemClock.monotonicMs();
  const from = stage.guests.get(GUEST) ?? '';
  const to = stage.lab.hosts.find((host) => host !== from) ?? '';
  const pace = paceOf(cell);
  await stage.dirty(GUEST, pace.dirtyBytesPerSecond);
  const injector = await injectorOf(cell.fault, { lab: stage.lab, from, to, chance });
  let witness: Witness | undefined;
  let disks: DiskWatch | undefined;
  let probe: Probe | undefined;
  try {
    // It asks QEMU over the monitor that the witness holds then.
    if (hasDisks(cell)) {
      const watched = { lab: stage.lab, guest: GUEST, from, to };
      disks = await DiskWatch.open(watched, cell.phase === 'seeding');
    }
    witness = await Witness.open(stage.lab, GUEST, from);
    probe = await openProbe(stage.lab, GUEST, { intervalMs: 10 });
    await probe.mark();
    const hands = { witness, disks, probe, injector };
    const played = await act(stage, { cell, from, to, ...hands, expect, chance });
    return { ...played, tookMs: Math.round(systemClock.monotonicMs() - start) };
  } finally {
    await disks?.close();
    await injector.clear();
    await probe?.stop();
    await witness?.close();
    await injector.afterwards?.();
    await stage.plainAgents();
  }
}

interface Act {
  readonly cell: Cell;
  readonly from: string;
  readonly to: string;
  readonly witness: Witness;
  readonly disks: DiskWatch | undefined;
  readonly probe: Probe;
  readonly injector: Injector;
  readonly expect: Expectation;
  readonly chance: number;
}

async function act(stage: Stage, act: Act): Promise<Omit<PlayResult, 'tookMs'>> {
  const { cell, from, to, witness, disks } = act;
  const pace = paceOf(cell);
  const startedAtMs = systemClock.wallMs();
  const { mode } = cell;
  const body = { guest: GUEST, to, mode, maxBandwidth: pace.maxBandwidth };
  const { id } = await stage.agent(from).migrate({ body }, { deadlineMs: 30_000 });
  const scene: Scene = {
    cell,
    from,
    to,
    witness,
    disks,
    source: new JournalTail(stage.lab, from, id, 'source'),
    destination: new JournalTail(stage.lab, to, id, 'destination'),
  };
  const calm = (): Promise<void> => stage.dirty(GUEST, 0);
  const fault = await strikeAndClear(scene, { ...act, moment: untilMoment(scene), calm });
  const end = await untilEnd(stage, from, id);
  const seen = await look(stage, act, { startedAtMs, ...fault, ...end });
  const problems = judge(cell, act.expect, seen.observed);
  const recovery = recoveryMs(cell, seen.observed, {
    sourceJournal: scene.source.lines().map(({ at }) => at),
    destinationJournal: scene.destination.lines().map(({ at }) => at),
    traffic: witness.traffic.filter((each) => each.host === from).map(({ atMs }) => atMs),
    disks: disks?.grown ?? [],
  });
  const { observed, gapMs } = seen;
  return playedOf(cell, observed, { problems, migration: id, recoveryMs: recovery, gapMs });
}

interface CellFindings {
  readonly problems: readonly string[];
  readonly migration: string;
  readonly recoveryMs: number | undefined;
  readonly gapMs: number | undefined;
}

/** What is kept of a play. */
export function playedOf(
  cell: Cell,
  observed: CellObservation,
  { problems, migration, recoveryMs: recovery, gapMs }: CellFindings,
): Omit<PlayResult, 'tookMs'> {
  const missed = whyNotStruck(observed);
  return {
    cell: cellId(cell),
    ok: problems.length === 0 && missed === undefined,
    problems,
    ...(missed === undefined ? {} : { missed }),
    outcome: observed.outcome,
    migration,
    runningOn: observed.runningOn,
    ...(observed.error === undefined ? {} : { error: observed.error }),
    ...(observed.struck === undefined ? {} : { struck: observed.struck }),
    ...(recovery === undefined ? {} : { recoveryMs: recovery }),
    ...(observed.endedAtMs === undefined
      ? {}
      : { endMs: Math.round(observed.endedAtMs - observed.clearedAtMs) }),
    ...(observed.runningOn.length === 0 ? {} : { darkMs: darkMs(observed) }),
    ...(gapMs === undefined ? {} : { gapMs: Math.round(gapMs) }),
  };
}

export interface Blow<S> {
  readonly cell: Cell;
  readonly injector: Injector<S>;
  readonly chance: number;
  /** Resolves with whether the moment came. */
  readonly moment: Promise<boolean>;
  /** Makes the guest quiet, so that it arrives. */
  readonly calm: () => Promise<void>;
}

/** The moment, the blow, and the end of it; the guest is quiet afterwards. */
export async function strikeAndClear<S>(
  scene: S,
  { cell, injector, chance, moment, calm }: Blow<S>,
): Promise<Pick<CellObservation, 'struck' | 'missed' | 'struckAtMs' | 'clearedAtMs'>> {
  const pace = paceOf(cell);
  if (!(await moment)) {
    const now = systemClock.wallMs();
    return { struck: undefined, struckAtMs: now, clearedAtMs: now };
  }
  if (pace.jitterMs > 0) await systemClock.sleep(chance * pace.jitterMs);
  const struckAtMs = systemClock.wallMs();
  const struck = await injector.strike(scene).catch((thrown: unknown) => {
    return { missed: toGodwitError(thrown).message };
  });
  if (typeof struck !== 'string') {
    return { struck: undefined, missed: struck.missed, struckAtMs, clearedAtMs: struckAtMs };
  }
  // Not waited for: a guest that has died or is paused does not answer.
  void calm().catch(() => {});
  await systemClock.sleep(LASTS_MS[cell.fault]);
  const clearedAtMs = LASTS_MS[cell.fault] === 0 ? struckAtMs : systemClock.wallMs();
  await injector.clear();
  // One that was paused goes on dirtying now, and would never converge.
  void calm().catch(() => {});
  return { struck, struckAtMs, clearedAtMs };
}

/** Polls the source's agent for the end, whichever it is. */
export async function untilEnd(
  stage: Stage,
  host: string,
  id: string,
): Promise<Pick<CellObservation, 'endedAtMs' | 'outcome' | 'error'>> {
  const start = systemClock.monotonicMs();
  let last: Report | undefined;
  while (systemClock.monotonicMs() - start < END_MS) {
    last = await stage
      .agent(host)
      .report({ params: { id } }, { deadlineMs: 5000 })
      .catch(() => last);
    // No play rehearses.
    if (last !== undefined && last.outcome !== 'running' && last.outcome !== 'rehearsed') {
      const error =
        last.error === undefined ? undefined : `${last.error.code}: ${last.error.message}`;
      return { endedAtMs: systemClock.wallMs(), outcome: last.outcome, error };
    }
    await systemClock.sleep(POLL_MS);
  }
  return { endedAtMs: undefined, outcome: 'running', error: `it is ${last?.phase ?? 'unknown'}` };
}

type EndObservation = Omit<
  CellObservation,
  'from' | 'to' | 'spans' | 'runningOn' | 'memory' | 'connectionKept' | 'remains' | 'disks'
>;

/** Asks QEMUs, guest, client and hosts how things stand at the end. */
async function look(
  stage: Stage,
  { from, to, witness, disks, probe }: Act,
  ended: EndObservation,
): Promise<{ observed: CellObservation; gapMs: number | undefined }> {
  const spans = witness.spans();
  // It holds the monitor over which they are asked now.
  await witness.close();
  const statuses = (await seenStatuses(stage.lab)).filter(({ guest }) => guest === GUEST);
  const runningOn = statuses.flatMap(({ host, status }) => (status === 'running' ? [host] : []));
  const lives = runningOn.length === 1;
  const view = lives ? await probe.settle(30_000).catch(() => undefined) : undefined;
  const memory = lives ? await stage.look(GUEST, MEMORY_MS) : undefined;
  const places = (host: string): { guest: string; place: Remains }[] => {
    if (runningOn.includes(host)) return [{ guest: GUEST, place: 'guest' }];
    // What is left of a lost guest may be kept for a look, where its QEMU still is.
    const kept = ended.outcome === 'lost' && statuses.some((qemu) => qemu.host === host);
    const died = !lives && host === (ended.outcome === 'done' ? to : from);
    return [{ guest: GUEST, place: kept || died ? 'grave' : 'nothing' }];
  };
  const remains = await remainsOf(stage.lab, stage.bare, places);
  const connectionKept = lives ? view?.connectionKept === true : undefined;
  const { outcome } = ended;
  const writes = lives && disks !== undefined ? await stage.writesToDisks(GUEST) : undefined;
  const onDisks = await disks?.problems({ host: runningOn[0], outcome, writes });
  const seen = { spans, runningOn, memory, connectionKept, remains, disks: onDisks ?? [] };
  return { gapMs: view?.clientGapMs, observed: { ...ended, from, to, ...seen } };
}
