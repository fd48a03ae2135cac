/** One run on the stage: the guest starts, moves, is meddled with, and is judged. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toGodwitError } from '../src/errors.ts';
import { labHost, storageDirectory } from '../src/lab/state.ts';
import { namespaceOf } from '../src/lab/plan.ts';
import { isEnd } from '../src/protocol/public/end-phases.ts';
import { Actor } from './actor.ts';
import type { Act, Orders } from './orders.ts';
import type { Moment, Plan } from './plan.ts';
import { hostStates, remainsOf } from './remains.ts';
import type { HostPlaces } from './remains.ts';
import type { Stage, StagedGuest } from './stage.ts';
import { isAsOrdered, judge } from './verdict.ts';
import type { Outcome, Seen, SeenCopy, SeenMemory } from './verdict.ts';
import { fileKey, Witness } from './witness.ts';

const MIB = 1024 ** 2;
const END_MS = 45_000;
const SETTLE_MS = 6000;
const REMAINS_MS = 4000;
const LOOK_MS = 10;
const POLL_MS = 50;
const ANSWER_S = 12;
/** A guest whose link is down gives no answer for so long. */
const SILENT_S = 2;
const DISK_BYTES = 24 * MIB;

export interface Played {
  readonly plan: Plan;
  readonly problems: readonly string[];
  readonly outcome: Outcome;
  readonly reason: string;
  readonly acts: readonly Act[];
  readonly tookMs: number;
}

interface Ended {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly reportedAt: string | undefined;
  readonly unresolved: readonly string[];
}

/** What the move itself reports, as far as moments depend on it. */
interface Course {
  phase: string;
  isOver: boolean;
}

export async function play(stage: Stage, plan: Plan, name: string): Promise<Played> {
  const start = performance.now();
  const places = placesOf(stage);
  const before = await hostStates(places);
  const guest = await stage.boot(name, plan.scene);
  const undone: (() => Promise<unknown>)[] = [];
  const kept = new Map<string, string | undefined>();
  const witness = await Witness.open(
    {
      guest: name,
      address: guest.lab.address,
      clientNamespace: namespaceOf(stage.lab.name, 'client'),
      places: places.map(({ host, namespace }) => ({
        host,
        namespace,
        guestDir: stage.guestDirectory(host, name),
      })),
    },
    stage.from,
  );
  try {
    const boot = (await witness.askGuest('stats', ANSWER_S))?.['bootId'];
    const actor = new Actor(
      {
        witness,
        scene: plan.scene,
        from: stage.from,
        to: stage.to,
        namespaces: Object.fromEntries(places.map((each) => [each.host, each.namespace])),
        own: guest.own,
        otherMedium: guest.otherMedium,
        later: (undo) => undone.push(undo),
        keep: (file) => kept.set(file, fileKey(file)),
      },
      firstOrders(guest),
    );
    const ended = await move(stage, plan, name, { witness, actor });
    const copies = await settled(witness, actor.orders);
    const files = [...kept].flatMap(([file, key]) =>
      key === fileKey(file) ? [] : [`${file} is not there any more`],
    );
    const at = copies.map(({ host }) => host);
    const owned = [...kept.keys()].map((file) => path.join('storage', name, path.basename(file)));
    const remains = await remainsLater(places, before, {
      name,
      at: at.length > 0 ? at : [stage.from],
      owned,
    });
    const looked = await look(witness, actor.orders, copies, boot);
    const seen: Seen = { from: stage.from, to: stage.to, ...ended, copies, ...looked, files, remains, bothRan: witness.bothRan() };
    return {
      plan,
      problems: judge(actor.orders, actor.acts, seen),
      outcome: ended.outcome,
      reason: ended.reason,
      acts: actor.acts,
      tookMs: Math.round(performance.now() - start),
    };
  } finally {
    await witness.close();
    for (const undo of undone) await undo().catch(() => undefined);
    await stage.remove(guest);
  }
}

function placesOf({ lab }: Stage): HostPlaces[] {
  return lab.hosts.map((host) => {
    const { namespace, stateDir } = labHost(lab, host);
    return { host, namespace, stateDir, storageDir: storageDirectory(lab, host) };
  });
}

function firstOrders({ disks, medium }: StagedGuest): Orders {
  return {
    run: ['running'],
    disks: Object.fromEntries(
      disks.map(({ id, file, isShared }) => [
        id,
        { isShared, files: [fileKey(file) ?? ''], bytes: [DISK_BYTES], limits: [0] },
      ]),
    ),
    medium: [medium],
    devices: new Set(['nic0', 'balloon0', 'cd0-dev', ...disks.map(({ id }) => id)]),
    gone: new Set(),
    link: ['up'],
    processors: [1],
    jobs: new Set(),
    isRebooted: false,
  };
}

interface Players {
  readonly witness: Witness;
  readonly actor: Actor;
}

/** Moves the guest to the end, with the operations of the plan at their moments. */
async function move(stage: Stage, plan: Plan, guest: string, players: Players): Promise<Ended> {
  const { actor } = players;
  const early = plan.operations.filter(({ moment }) => moment === 'before');
  for (const operation of early) await actor.perform(operation);
  const { mode, path: way, mibPerSecond } = plan.scene;
  const body = { guest, to: stage.to, mode, path: way, maxBandwidth: mibPerSecond * MIB };
  let id: string;
  try {
    ({ id } = await stage.agent(stage.from).migrate({ body }, { deadlineMs: 30_000 }));
  } catch (error) {
    const { code, message } = toGodwitError(error);
    return { outcome: 'refused', reason: `${code}: ${message}`, reportedAt: undefined, unresolved: [] };
  }
  const course: Course = { phase: 'planned', isOver: false };
  const meddling = meddle(stage, plan, players, course);
  const isAtEnd = await follow(stage, id, course);
  await meddling;
  if (!isAtEnd) return { outcome: 'running', reason: course.phase, reportedAt: undefined, unresolved: [] };
  return theEnd(stage, guest, id);
}

async function meddle(stage: Stage, plan: Plan, players: Players, course: Course): Promise<void> {
  for (const operation of plan.operations) {
    const { moment, afterMs } = operation;
    if (moment === 'before') continue;
    while (!isReached(moment, stage, players.witness, course)) {
      if (course.isOver && moment !== 'after') break;
      if (course.isOver) break;
      await sleep(LOOK_MS);
    }
    if (course.isOver && moment !== 'after') continue;
    if (afterMs > 0) await sleep(afterMs);
    await players.actor.perform(operation);
  }
}

const MEMORY_PHASES = new Set(['memory', 'switchover', 'handover', 'draining', 'verifying', 'cleanup']);
const PREPARED_PHASES = new Set(['preparing', 'seeding', 'disks', ...MEMORY_PHASES]);
const SWITCHING = new Set(['pre-switchover', 'device', 'postcopy-active', 'completed']);

function isReached(moment: Moment, { from, to }: Stage, witness: Witness, { phase }: Course): boolean {
  const stream = (of: ReadonlySet<string>): boolean =>
    witness.saw(from, ({ event, data }) => event === 'MIGRATION' && of.has(String(data['status'])));
  switch (moment) {
    case 'before':
    case 'checks':
      return true;
    case 'prepare':
      return PREPARED_PHASES.has(phase) || witness.monitor(to) !== undefined;
    case 'memory':
      return stream(new Set(['active'])) || MEMORY_PHASES.has(phase);
    case 'round':
      return witness.saw(from, ({ event, data }) => event === 'MIGRATION_PASS' && Number(data['pass']) >= 2) || stream(SWITCHING);
    case 'switch':
      return stream(SWITCHING);
    case 'after':
      return witness.saw(to, ({ event }) => event === 'RESUME');
  }
}

/** False if the move does not end in time. */
async function follow(stage: Stage, id: string, course: Course): Promise<boolean> {
  const start = performance.now();
  for (;;) {
    const { phase } = await stage.agent(stage.from).migration({ params: { id } });
    course.phase = phase;
    if (isEnd(phase)) course.isOver = true;
    else if (performance.now() - start > END_MS) course.isOver = true;
    else {
      await sleep(POLL_MS);
      continue;
    }
    return isEnd(phase);
  }
}

async function theEnd(stage: Stage, guest: string, id: string): Promise<Ended> {
  const agent = stage.agent(stage.from);
  const report = await agent.report({ params: { id } });
  const { outcome, error, runsAt } = report;
  const reason = error === undefined ? '' : `${error.code}: ${error.message}`;
  const sides = { source: stage.from, destination: stage.to, unknown: undefined, nowhere: undefined };
  const ended = { outcome: outcome as Outcome, reason, reportedAt: sides[runsAt], unresolved: [] };
  return outcome === 'held' ? { ...ended, unresolved: await resolve(stage, guest, id) } : ended;
}

/** Answers as an operator does who has looked at both hosts; empty once an answer was accepted. */
async function resolve(stage: Stage, guest: string, id: string): Promise<string[]> {
  const agent = stage.agent(stage.from);
  const refused: string[] = [];
  const { answers, safe } = await agent.resolution({ params: { id } });
  const order = [...answers].toSorted((one) => (one.runAt === safe ? -1 : 1));
  for (const { runAt, verdict, why } of order) {
    if (verdict === 'wrong') {
      refused.push(`${runAt}: ${why}`);
      continue;
    }
    try {
      await agent.resolve({ params: { id }, body: { runAt, confirm: guest, iKnow: verdict !== 'safe' } }, { deadlineMs: 30_000 });
      return [];
    } catch (error) {
      const { code, message } = toGodwitError(error);
      refused.push(`${runAt} (${verdict}): ${code}: ${message}`);
    }
  }
  return refused;
}

/** The copies once they are as ordered, or once the time for that is over. */
async function settled(witness: Witness, orders: Orders): Promise<SeenCopy[]> {
  const start = performance.now();
  for (;;) {
    const copies = await witness.copies();
    const isRight = copies.length <= 1 && isAsOrdered(orders, copies[0]);
    if (isRight || performance.now() - start > SETTLE_MS) return copies;
    await sleep(POLL_MS);
  }
}

async function remainsLater(
  places: readonly HostPlaces[],
  before: Awaited<ReturnType<typeof hostStates>>,
  guest: Parameters<typeof remainsOf>[2],
): Promise<string[]> {
  const start = performance.now();
  for (;;) {
    const found = remainsOf(before, await hostStates(places), guest);
    if (found.length === 0 || performance.now() - start > REMAINS_MS) return found;
    await sleep(POLL_MS);
  }
}

/** What the guest itself finds, once its owner has let it run with its link up. */
async function look(
  witness: Witness,
  orders: Orders,
  copies: readonly SeenCopy[],
  boot: unknown,
): Promise<Pick<Seen, 'memory' | 'isReachable'>> {
  const [copy] = copies;
  const monitor = copy === undefined ? undefined : witness.monitor(copy.host);
  if (copies.length !== 1 || monitor === undefined || copy?.status === 'shutdown') {
    return { memory: undefined, isReachable: undefined };
  }
  if (copy?.status !== 'running') await monitor.ask('cont').catch(() => undefined);
  const mayAnswer = orders.link.includes('up');
  const answer = await witness.askGuest('stats', mayAnswer ? ANSWER_S : SILENT_S);
  const isReachable = answer !== undefined;
  if (!isReachable) await monitor.ask('set_link', { name: 'nic0', up: true }).catch(() => undefined);
  return { isReachable, memory: await verify(witness, boot) };
}

async function verify(witness: Witness, boot: unknown): Promise<SeenMemory | 'silent'> {
  const stats = await untilReady(witness);
  if (stats === undefined) return 'silent';
  const found = await witness.askGuest('verify', ANSWER_S);
  if (found === undefined) return 'silent';
  return {
    ok: found['ok'] === true,
    badDiskChunks: Number(found['badDiskChunks'] ?? 0),
    diskErrors: Number(stats['diskErrors'] ?? 0),
    isSameBoot: stats['bootId'] === boot,
  };
}

/** A guest that was reset boots first. */
async function untilReady(witness: Witness): Promise<Record<string, unknown> | undefined> {
  const start = performance.now();
  while (performance.now() - start < ANSWER_S * 1000) {
    const stats = await witness.askGuest('stats', SILENT_S);
    if (stats?.['ready'] === true) return stats;
    await sleep(POLL_MS);
  }
  return undefined;
}
