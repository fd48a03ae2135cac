/** A guest that moves from host to host without a rest, its client talking to it all the while. */
import { systemClock } from '../../src/clock.ts';
import { toGodwitError } from '../../src/errors.ts';
import { readGuestStats } from '../../lab/guest/talk.ts';
import { openProbe, type Probe } from '../../lab/probe/probe.ts';
import { isEnd } from '../../src/protocol/public/migration.ts';
import { MODES, type Mode } from '../cell.ts';
import type { Stage } from '../stage.ts';
import { bothRan, longestDarkMs } from '../timeline.ts';
import { Witness } from '../witness.ts';
import type { PowerCuts } from './power-cuts.ts';

export interface Journey {
  readonly guest: string;
  readonly moves: Readonly<Record<string, number>>;
  /** Those that it made once nothing died any more, because none had been done. */
  readonly calmMoves: Readonly<Record<string, number>>;
  readonly verified: number;
  /** How often it died with its host and another host started it, and how often no host could. */
  readonly recovered: number;
  readonly replaced: number;
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
  /** Absent: no host loses its power. */
  readonly cuts?: PowerCuts | undefined;
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
  const journey = await Traveller.open(given);
  try {
    return await journey.run();
  } finally {
    await journey.close();
  }
}

class Traveller {
  readonly #given: Travel;
  readonly #witness: Witness;
  readonly #started = systemClock.wallMs();
  readonly #moves: Record<string, number> = {};
  readonly #calmMoves: Record<string, number> = {};
  readonly #violations: string[] = [];
  #probe: Probe;
  /** The guest's own: another one means that it was started again. */
  #bootId: string;
  #verified = 0;
  #recovered = 0;
  #replaced = 0;
  #calmSince: number | undefined;

  private constructor(given: Travel, witness: Witness, probe: Probe, bootId: string) {
    this.#given = given;
    this.#witness = witness;
    this.#probe = probe;
    this.#bootId = bootId;
  }

  static async open(given: Travel): Promise<Traveller> {
    const { stage, guest, cuts } = given;
    const host = stage.guests.get(guest) ?? '';
    const witness = await Witness.open(stage.lab, guest, host);
    const { bootId } = await readGuestStats(stage.lab, guest);
    const probe = await openProbe(stage.lab, guest, { intervalMs: 20 });
    cuts?.watch(guest, witness);
    await cuts?.keepStandbys(guest, host);
    return new Traveller(given, witness, probe, bootId);
  }

  async close(): Promise<void> {
    await this.#probe.stop();
    await this.#witness.close();
  }

  async run(): Promise<Journey> {
    const { stage, guest, cuts } = this.#given;
    await this.#probe.mark();
    for (let count = 1; this.#violations.length === 0 && this.#goesOn(); count += 1) {
      await this.#undisturbed(() => this.#move());
      if (count % VERIFY_EVERY === 0) await this.#undisturbed(() => this.#look());
    }
    await cuts?.settled();
    if (!(await isAtRest(this.#given))) this.#violations.push(`${guest}: a migration did not end`);
    await this.#undisturbed(() => this.#look());
    const [host] = this.#witness.runningOn();
    if (host !== undefined) stage.guests.set(guest, host);
    const gapMs = Math.round((await this.#probe.read()).clientGapMs);
    const darkMs = longestDarkMs(this.#witness.spans(), this.#started, systemClock.wallMs());
    return {
      guest,
      moves: this.#moves,
      calmMoves: this.#calmMoves,
      verified: this.#verified,
      recovered: this.#recovered,
      replaced: this.#replaced,
      darkMs,
      gapMs,
      violations: this.#violations,
    };
  }

  #goesOn(): boolean {
    const { signal, stopped } = this.#given;
    if (!signal.aborted) return true;
    this.#calmSince ??= systemClock.monotonicMs();
    const isOver = systemClock.monotonicMs() - this.#calmSince > MOVE_MS;
    return !stopped.aborted && !isOver && !this.#moves['done'] && !this.#calmMoves['done'];
  }

  /** What went wrong while a host was without power counts only if the guest outlived that. */
  async #undisturbed(work: () => Promise<string[]>): Promise<void> {
    const { cuts } = this.#given;
    const before = cuts?.count ?? 0;
    const found = await work();
    await cuts?.settled();
    const isHit = (cuts?.count ?? 0) !== before;
    const problems = isHit ? await this.#afterCut() : found;
    for (const problem of problems) this.#given.say(`VIOLATION ${problem}`);
    this.#violations.push(...problems);
  }

  async #move(): Promise<string[]> {
    const { guest, signal, cuts } = this.#given;
    const into = signal.aborted ? this.#calmMoves : this.#moves;
    const outcome = await moveOnce(this.#given, this.#witness);
    into[outcome] = (into[outcome] ?? 0) + 1;
    const [host] = this.#witness.runningOn();
    if (outcome === 'done' && host !== undefined) await cuts?.keepStandbys(guest, host);
    if (['done', 'failed', 'refused'].includes(outcome)) return [];
    return [`${guest}: a migration ended as ${outcome}`];
  }

  async #look(): Promise<string[]> {
    this.#verified += 1;
    return lookAt(this.#given, this.#witness, this.#probe);
  }

  /** A host has lost its power and is back: the guest goes on, or was started again, or died with the host. */
  async #afterCut(): Promise<string[]> {
    const { stage, guest, cuts } = this.#given;
    if (!(await isAtRest(this.#given))) return [`${guest}: a migration did not end`];
    const both = bothRan(this.#witness.spans());
    if (both !== undefined) return [`${guest}: TWO COPIES RAN: ${both.host}`];
    const found = await whereItRuns(this.#witness);
    const host = found ?? stage.lab.hosts[0] ?? '';
    if (found === undefined) await stage.replace(guest, host);
    stage.guests.set(guest, host);
    const bootId = await this.#bootIdNow();
    if (bootId === undefined) return [`${guest}: it does not come up at ${host}`];
    await cuts?.keepStandbys(guest, host);
    if (bootId === this.#bootId) return [];
    if (found === undefined) this.#replaced += 1;
    else this.#recovered += 1;
    this.#bootId = bootId;
    await stage.keepHash(guest);
    await this.#probe.stop();
    this.#probe = await openProbe(stage.lab, guest, { intervalMs: 20 });
    await this.#probe.mark();
    return [];
  }

  async #bootIdNow(): Promise<string | undefined> {
    const { stage, guest } = this.#given;
    const start = systemClock.monotonicMs();
    while (systemClock.monotonicMs() - start < MOVE_MS) {
      const stats = await readGuestStats(stage.lab, guest).catch(() => undefined);
      if (stats?.ready === true) return stats.bootId;
      await systemClock.sleep(POLL_MS);
    }
    return undefined;
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
async function lookAt({ stage, guest }: Travel, witness: Witness, probe: Probe): Promise<string[]> {
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
  return violations;
}
