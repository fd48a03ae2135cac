/** A guest that moves from host to host without a rest, its client talking to it all the while. */
import { systemClock } from '../../src/clock.ts';
import { toGodwitError } from '../../src/errors.ts';
import { openProbe } from '../../src/lab/probe/probe.ts';
import type { Probe } from '../../src/lab/probe/probe.ts';
import { isEnd } from '../../src/protocol/public/migration.ts';
import { MODES } from '../cell.ts';
import type { Mode } from '../cell.ts';
import type { Stage } from '../stage.ts';
import { bothRan, longestDarkMs } from '../timeline.ts';
import { Witness } from '../witness.ts';

export interface Journey {
  readonly guest: string;
  readonly moves: Readonly<Record<string, number>>;
  /** Those that it made once nothing died any more, because none had been done. */
  readonly calmMoves: Readonly<Record<string, number>>;
  readonly verified: number;
  /** Longest time in which no copy ran, ms. */
  readonly darkMs: number;
  readonly gapMs: number;
  readonly violations: readonly string[];
}

export interface Travel {
  readonly stage: Stage;
  readonly guest: string;
  /**
   * Aborted when nothing dies any more. Moves begin until then. A guest of which none is done by then moves on until one is:
   * where everything around it dies, each of its moves may fail. One that is under way is waited for.
   */
  readonly signal: AbortSignal;
  /** Aborted when somebody stops all of it: no move begins after that. */
  readonly stopped: AbortSignal;
  readonly next: () => number;
  readonly say: (text: string) => void;
}

const MIB = 1024 ** 2;
const MOVE_MS = 150_000;
const POLL_MS = 100;
/** Memory is read whole after so many moves. */
const VERIFY_EVERY = 5;
const RUNS_MS = 30_000;
/** All of it, by an emulated processor that it may have to share with much else. */
const READ_MS = 180_000;

export async function travel(given: Travel): Promise<Journey> {
  const { stage, guest } = given;
  const started = systemClock.wallMs();
  const witness = await Witness.open(stage.lab, guest, stage.guests.get(guest) ?? '');
  const probe = await openProbe(stage.lab, guest, { intervalMs: 20 });
  const moves: Record<string, number> = {};
  const calmMoves: Record<string, number> = {};
  const violations: string[] = [];
  let verified = 0;
  try {
    await probe.mark();
    let calmSince: number | undefined;
    const goesOn = (): boolean => {
      if (!given.signal.aborted) return true;
      calmSince ??= systemClock.monotonicMs();
      const isOver = systemClock.monotonicMs() - calmSince > MOVE_MS;
      return !given.stopped.aborted && !isOver && !moves['done'] && !calmMoves['done'];
    };
    for (let count = 1; violations.length === 0 && goesOn(); count += 1) {
      const into = given.signal.aborted ? calmMoves : moves;
      const outcome = await moveOnce(given, witness);
      into[outcome] = (into[outcome] ?? 0) + 1;
      if (!['done', 'failed', 'refused'].includes(outcome)) {
        violations.push(`${guest}: a migration ended as ${outcome}`);
      }
      if (count % VERIFY_EVERY === 0) {
        verified += 1;
        violations.push(...(await lookAt(given, witness, probe)));
      }
    }
    if (!(await isAtRest(given))) violations.push(`${guest}: a migration did not end`);
    violations.push(...(await lookAt(given, witness, probe)));
    const [host] = witness.runningOn();
    if (host !== undefined) stage.guests.set(guest, host);
    const gapMs = Math.round((await probe.read()).clientGapMs);
    const darkMs = longestDarkMs(witness.spans(), started, systemClock.wallMs());
    return { guest, moves, calmMoves, verified: verified + 1, darkMs, gapMs, violations };
  } finally {
    await probe.stop();
    await witness.close();
  }
}

/** One move to a host by chance; its outcome, or `refused` when no agent took it. */
async function moveOnce({ stage, guest, next, say }: Travel, witness: Witness): Promise<string> {
  const from = await whereItRuns(witness);
  if (from === undefined) return 'nowhere';
  stage.guests.set(guest, from);
  const others = stage.lab.hosts.filter((host) => host !== from);
  const to = others[Math.floor(next() * others.length)] ?? '';
  const mode: Mode = MODES[Math.floor(next() * MODES.length)] ?? 'precopy';
  const body = { guest, to, mode, maxBandwidth: 32 * MIB };
  let id: string;
  try {
    ({ id } = await stage.agent(from).migrate({ body }, { deadlineMs: 20_000 }));
  } catch (thrown) {
    const { code, message } = toGodwitError(thrown);
    say(`${guest} ${from} -> ${to} refused: ${code}: ${message}`);
    await systemClock.sleep(500);
    return 'refused';
  }
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < MOVE_MS) {
    const report = await stage
      .agent(from)
      .report({ params: { id } }, { deadlineMs: 5000 })
      .catch(() => undefined);
    if (report !== undefined && report.outcome !== 'running') {
      const why = report.error === undefined ? '' : ` ${report.error.code}`;
      say(
        `${guest} ${from} -> ${to} ${mode} ${report.outcome}${why} (${report.takeovers} takeovers)`,
      );
      return report.outcome;
    }
    await systemClock.sleep(POLL_MS);
  }
  say(`${guest} ${id} did not end`);
  return 'unended';
}

/**
 * Whether none of its migrations goes on, once that is so. An agent that dies right after it took an order does not say
 * so: who gave it counts it as refused, and it goes on all the same.
 */
async function isAtRest({ stage, guest }: Travel): Promise<boolean> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < MOVE_MS) {
    const each = stage.lab.hosts.map(async (host) => {
      const query = { scope: 'local' as const };
      const answer = await stage.agent(host).migrations({ query }, { deadlineMs: 5000 });
      return answer.migrations.some((one) => one.guest === guest && !isEnd(one.phase));
    });
    // A host that does not answer may have one.
    const found = await Promise.all(each).catch(() => [true]);
    if (!found.includes(true)) return true;
    await systemClock.sleep(POLL_MS);
  }
  return false;
}

/** The host on which it runs, once it does. */
async function whereItRuns(witness: Witness): Promise<string | undefined> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < RUNS_MS) {
    const [host] = witness.runningOn();
    if (host !== undefined) return host;
    await systemClock.sleep(POLL_MS);
  }
  return undefined;
}

/** What must hold whatever has died. */
async function lookAt(
  { stage, guest, say }: Travel,
  witness: Witness,
  probe: Probe,
): Promise<string[]> {
  const violations: string[] = [];
  const both = bothRan(witness.spans());
  if (both !== undefined) violations.push(`${guest}: TWO COPIES RAN: ${both.host}`);
  const view = await probe.settle(60_000).catch(() => undefined);
  if (view?.connectionKept !== true) violations.push(`${guest}: its client's connection broke`);
  const memory = await stage.look(guest, READ_MS);
  if (memory === 'changed') violations.push(`${guest}: its memory is not what it was`);
  if (memory === 'silent') {
    violations.push(`${guest}: it did not read its memory within ${READ_MS / 1000} s`);
  }
  for (const violation of violations) say(`VIOLATION ${violation}`);
  return violations;
}
