/** Chaos: what is killed and what moves, together, for a while; then what is left is looked at. */
import { chances } from '../chance.ts';
import { keepRecords } from '../evidence.ts';
import { remainsOf, type Remains } from '../remains.ts';
import { Stage } from '../stage.ts';
import { killAtRandom, type Death } from './random-kills.ts';
import { PowerCuts } from './power-cuts.ts';
import { travel, type Journey } from './endless-moves.ts';

export interface ChaosRequest {
  readonly ms: number;
  readonly seed: number;
  /** Names a later part of a run: other moves and deaths than in its first part. */
  readonly part?: string;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  /** Where the hosts' records are kept when something did not hold; absent: nowhere. */
  readonly evidence?: string | undefined;
  /** Hosts lose their power, and others recover their guests. Default: they do not. */
  readonly powerCuts?: boolean;
}

export interface ChaosReported {
  readonly journeys: readonly Journey[];
  readonly deaths: Readonly<Record<Death, number>>;
  readonly moves: number;
  readonly violations: readonly string[];
}

/** What died last may have to wait for what it does not hear any more. */
const SETTLE_MS = 45_000;
const GUESTS = ['web1', 'web2', 'web3'];

export async function chaos({
  ms,
  seed,
  part = '',
  signal,
  say,
  evidence,
  powerCuts = false,
}: ChaosRequest): Promise<ChaosReported> {
  const stage = await Stage.open({ hosts: 3, smallDisks: false, powerCuts });
  const cuts = powerCuts ? new PowerCuts(stage, say) : undefined;
  try {
    for (const [index, guest] of GUESTS.entries()) {
      await stage.boot(guest, stage.lab.hosts[index] ?? 'a');
    }
    say('three guests are up');
    const over = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
    const travelling = Promise.all(
      GUESTS.map((guest) =>
        travel({
          stage,
          guest,
          signal: over,
          stopped: signal,
          next: chances(seed, guest + part),
          say,
          cuts,
        }),
      ),
    );
    const killing = killAtRandom({
      lab: stage.lab,
      signal: over,
      next: chances(seed, `killAtRandom${part}`),
      say,
      cuts,
    });
    const [journeys, deaths] = await Promise.all([travelling, killing]);
    await cuts?.settled();
    await stage.plainAgents();
    const elsewhere = (host: string): Remains => (cuts?.lost.has(host) ? 'grave' : 'nothing');
    const places = (host: string): { guest: string; place: Remains }[] =>
      GUESTS.map((guest) => {
        return { guest, place: stage.guests.get(guest) === host ? 'guest' : elsewhere(host) };
      });
    const remains = await remainsOf(stage.lab, stage.bare, places, SETTLE_MS);
    const done = journeys.reduce((sum, { moves }) => sum + (moves['done'] ?? 0), 0);
    const violations = [
      ...journeys.flatMap((journey) => journey.violations),
      ...(cuts?.violations ?? []),
      ...remains.map((what) => `left behind: ${what}`),
    ];
    if (violations.length > 0 && evidence !== undefined) await keepRecords(stage.lab, evidence);
    return { journeys, deaths, moves: done, violations };
  } finally {
    await stage.close();
  }
}
