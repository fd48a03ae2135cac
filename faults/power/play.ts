/** One cell in which a host of the migration loses its power while other hosts recover its guest. */
import { systemClock } from '../../src/clock.ts';
import { toGodwitError } from '../../src/errors.ts';
import { agentsOf } from '../../lab/agents.ts';
import { readGuestStats } from '../../lab/guest/talk.ts';
import { cutPower, isOff, restorePower } from '../../lab/power.ts';
import { seenStatuses } from '../../lab/witness/qemus.ts';
import { isEnd } from '../../src/protocol/public/migration.ts';
import type { Cell } from '../cell.ts';
import type { Expectation } from '../expectation.ts';
import { JournalTail } from '../journal-tail.ts';
import type { CellObservation } from '../judge.ts';
import { untilMoment } from '../moment.ts';
import { paceOf } from '../pace.ts';
import { GUEST, MEMORY_MS, playedOf, strikeAndClear, untilEnd, type PlayResult } from '../play.ts';
import { remainsOf, type Remains } from '../remains.ts';
import type { Scene } from '../scene.ts';
import type { Stage } from '../stage.ts';
import { Witness } from '../witness.ts';
import { ImageWatch } from './images.ts';
import { judgePower } from './judge.ts';
import { recoverInTurns, type Attempt } from './recover.ts';

/** The checks of a cold move, on a busy machine. */
const STANDBY_MS = 60_000;
/** For the hosts that recover it: the destination may first have to give up its part. */
const RECOVERS_MS = 40_000;
/** A host is without power for this long at least. */
const OFF_MS = 8000;
const BOOTS_MS = 60_000;
const REST_MS = 30_000;
/** A process that has made the checks of a standby waits 30 s for the next one. */
const SETTLE_MS = 45_000;
const POLL_MS = 100;

/** `to` is the guest's destination, and `third` a host that has no part in the migration. */
interface Places {
  readonly from: string;
  readonly to: string;
  readonly third: string;
  readonly lost: string;
}

/** Plays a cell on a guest that runs; leaves every host with power and an agent. */
export async function playPower(
  stage: Stage,
  cell: Cell,
  expect: Expectation,
  chance: number,
): Promise<PlayResult> {
  const start = systemClock.monotonicMs();
  const from = stage.guests.get(GUEST) ?? '';
  const [to = '', third = ''] = stage.lab.hosts.filter((host) => host !== from);
  const lost = cell.fault === 'power-source' ? from : to;
  await stage.dirty(GUEST, paceOf(cell).dirtyBytesPerSecond);
  for (const host of [to, third]) await keepFresh(stage, from, host);
  const { bootId } = await readGuestStats(stage.lab, GUEST);
  const images = new ImageWatch(stage.lab, GUEST, from);
  const witness = await Witness.open(stage.lab, GUEST, from);
  try {
    const places = { from, to, third, lost };
    const played = await act(stage, { cell, places, witness, images, bootId, expect, chance });
    return { ...played, tookMs: Math.round(systemClock.monotonicMs() - start) };
  } finally {
    await images.close();
    await witness.close();
    if (isOff(stage.lab, lost)) await restorePower(stage.lab, lost);
    await stage.plainAgents();
  }
}

/** Ends once the host has a description of the guest that its source has confirmed. */
async function keepFresh(stage: Stage, from: string, to: string): Promise<void> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const order = { params: { guest: GUEST }, body: { to } };
    await stage.agent(from).putStandby(order, { deadlineMs: STANDBY_MS });
    const { standbys } = await stage.agent(to).standbys({}, { deadlineMs: 5000 });
    const kept = standbys.find((one) => one.guest === GUEST && one.from === from);
    if (kept !== undefined && kept.stale === undefined) return;
    if (systemClock.monotonicMs() - start > STANDBY_MS) {
      throw new Error(`${to} keeps no fresh description of ${GUEST}: ${kept?.stale ?? 'none'}`);
    }
  }
}

interface Act {
  readonly cell: Cell;
  readonly places: Places;
  readonly witness: Witness;
  readonly images: ImageWatch;
  /** The guest's own, before the fault. */
  readonly bootId: string;
  readonly expect: Expectation;
  readonly chance: number;
}

async function act(stage: Stage, act: Act): Promise<Omit<PlayResult, 'tookMs'>> {
  const { cell, places, witness, chance } = act;
  const { from, to, third, lost } = places;
  const { lab } = stage;
  const startedAtMs = systemClock.wallMs();
  const { maxBandwidth } = paceOf(cell);
  const bandwidth = cell.mode === 'cold' ? {} : { maxBandwidth };
  const body = { guest: GUEST, to, mode: cell.mode, ...bandwidth };
  const agents = (await agentsOf(lab, lost)).map(({ pid }) => pid);
  const { id } = await stage.agent(from).migrate({ body }, { deadlineMs: 30_000 });
  const source = new JournalTail(lab, from, id, 'source');
  const destination = new JournalTail(lab, to, id, 'destination');
  const scene: Scene = { cell, from, to, witness, source, destination };
  const injector = {
    strike: async (): Promise<string> => {
      const mover = (lost === from ? source : destination).moverPid();
      const first = [witness.pid(lost), mover, ...agents].filter((pid) => pid !== undefined);
      await cutPower(lab, lost, first);
      witness.ended(lost);
      return `the power of ${lost} was cut`;
    },
    clear: async () => {},
  };
  const calm = (): Promise<void> => stage.dirty(GUEST, 0);
  const moment = untilMoment(scene);
  const fault = await strikeAndClear(scene, { cell, injector, chance, moment, calm });
  const attempts =
    fault.struck === undefined ? [] : await recoverAndReturn(stage, act, fault.clearedAtMs);
  const recovered = attempts.find(({ outcome }) => outcome === 'done');
  const backAtMs = systemClock.wallMs();
  const end = await untilEnd(stage, from, id);
  const open = await untilAtRest(stage);
  const seen = await look(stage, act, end.outcome);
  const { runningOn, spans, remains, memory, disks } = seen;
  const times = { ...fault, startedAtMs, clearedAtMs: backAtMs };
  const observed = { ...times, ...end, from, to, spans, runningOn, memory, remains, disks };
  const whole: CellObservation = { ...observed, connectionKept: undefined };
  const ranOn = new Set(spans.map(({ host }) => host));
  const problems = judgePower(cell, act.expect, { ...whole, attempts, open, ranOn });
  const runs = spans.find((span) => span.toMs > fault.struckAtMs && span.host !== lost);
  const recoveryMs =
    runs === undefined ? undefined : Math.round(Math.max(0, runs.fromMs - fault.struckAtMs));
  // A host is asked again and again: its last answer is enough.
  const tried = new Map(
    attempts.map(({ host, outcome, why }) => [host, `${host}: ${why ?? outcome}`]),
  );
  const struck =
    whole.struck === undefined
      ? undefined
      : `${whole.struck}; ${third} and others asked: ${[...tried.values()].join('; ')}`;
  const played = playedOf(cell, whole, { problems, migration: id, recoveryMs, gapMs: undefined });
  return {
    ...played,
    ...(struck === undefined ? {} : { struck }),
    recovered: recovered?.host ?? 'no host',
  };
}

/** The hosts that are left try to start the guest, then the other one has its power back. */
async function recoverAndReturn(
  stage: Stage,
  { cell, places, witness, chance }: Act,
  struckAtMs: number,
): Promise<Attempt[]> {
  const { from, to, third, lost } = places;
  const isSource = lost === from;
  const inTurns = chance < 0.5 ? [third, to] : [to, third];
  const attempts = await recoverInTurns(
    stage,
    {
      guest: GUEST,
      from,
      off: isSource ? [] : [lost],
      at: isSource ? inTurns : [third],
      withinMs: isSource ? RECOVERS_MS : 0,
    },
    witness,
  ).catch((thrown: unknown): Attempt[] => {
    throw new Error(`${cell.fault}: ${toGodwitError(thrown).message}`, { cause: thrown });
  });
  const waitMs = struckAtMs + OFF_MS - systemClock.wallMs();
  if (waitMs > 0) await systemClock.sleep(waitMs);
  await restorePower(stage.lab, lost);
  return attempts;
}

/** Migrations and recoveries of the guest that go on, once none does or the time for it is over. */
async function untilAtRest(stage: Stage): Promise<string[]> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const found = await Promise.all(stage.lab.hosts.map((host) => openAt(stage, host)));
    const open = found.flat();
    if (open.length === 0 || systemClock.monotonicMs() - start > REST_MS) return open;
    await systemClock.sleep(POLL_MS);
  }
}

async function openAt(stage: Stage, host: string): Promise<string[]> {
  const query = { scope: 'local' as const };
  try {
    const { migrations } = await stage.agent(host).migrations({ query }, { deadlineMs: 5000 });
    const open = migrations.filter((one) => one.guest === GUEST && !isEnd(one.phase));
    return open.map(({ id, phase }) => `${id} at ${host}, ${phase}`);
  } catch (thrown) {
    return [`${host} does not answer: ${toGodwitError(thrown).message}`];
  }
}

interface Look {
  readonly spans: CellObservation['spans'];
  readonly runningOn: readonly string[];
  readonly memory: CellObservation['memory'];
  readonly remains: readonly string[];
  readonly disks: readonly string[];
}

/** Asks QEMUs, guest, hosts and images how things stand at the end. */
async function look(
  stage: Stage,
  { places, witness, images, bootId }: Act,
  outcome: CellObservation['outcome'],
): Promise<Look> {
  const { lost, from } = places;
  const { lab } = stage;
  const live = (await seenStatuses(lab)).filter(({ guest }) => guest === GUEST);
  const runningOn = live.flatMap(({ host, status }) => (status === 'running' ? [host] : []));
  const memory = runningOn.length === 1 ? await memoryOf(stage, bootId) : undefined;
  const spans = witness.spans();
  await witness.close();
  const disks = await images.problems();
  const isKept = (host: string): boolean =>
    host === lost ||
    (outcome === 'held' && host === from) ||
    (outcome === 'lost' && live.some((qemu) => qemu.host === host));
  const at = (host: string): Remains =>
    runningOn.includes(host) ? 'guest' : isKept(host) ? 'grave' : 'nothing';
  const left = (host: string) => [{ guest: GUEST, place: at(host) }];
  const remains = await remainsOf(lab, stage.bare, left, SETTLE_MS);
  return { spans, runningOn, memory, remains, disks };
}

/** A guest that was started again has other memory than before, and must read what it has. */
async function memoryOf(stage: Stage, bootId: string): Promise<CellObservation['memory']> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < BOOTS_MS) {
    const stats = await readGuestStats(stage.lab, GUEST).catch(() => undefined);
    if (stats?.ready === true) {
      if (stats.bootId === bootId) return stage.look(GUEST, MEMORY_MS);
      return stage.lookAtNew(GUEST, MEMORY_MS);
    }
    await systemClock.sleep(POLL_MS);
  }
  return 'silent';
}
