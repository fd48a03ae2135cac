import { drain, type DrainPlan } from '../src/planner/drain/drain.ts';
import type { Inventory } from '../src/planner/inventory.ts';
import type { Director, Scene, View } from '../sim/fleet/drain-world.ts';

/** What an ETA said, and when, s since the start. */
export interface EtaEstimate {
  readonly at: number;
  readonly left: number;
  readonly low: number;
  readonly high: number;
}

/** No other bounds than those of the scene, so that links alone decide. */
const LIMITS = { parallel: 64, perHost: 64 } as const;
/** A plan is made again at least so often, s. */
const AGAIN_S = 20;

/** The product's scheduler as a controller would use it: a new plan whenever a move has ended, and what is due starts. */
export class SchedulerDirector implements Director {
  readonly said: EtaEstimate[] = [];
  plan: DrainPlan | undefined;
  #before: { guest: string; to: string }[] = [];

  start(view: View): { guest: string; to: string }[] {
    const plan = drain(inventoryOf(view), {
      hosts: view.scene.drained,
      ...LIMITS,
      trunks: view.scene.trunks,
      running: view.running,
      before: this.#before,
      linkFactors: this.plan?.linkFactors ?? {},
    });
    this.plan = plan;
    this.#before = plan.timetable.map(({ guest, to }) => ({ guest, to }));
    const { seconds, low, high } = plan.eta;
    this.said.push({ at: view.seconds, left: seconds, low, high });
    return plan.timetable.filter((each) => !each.running && each.startSeconds <= DUE_S);
  }

  again(): number {
    const next = (this.plan?.timetable ?? [])
      .filter(({ running, startSeconds }) => !running && startSeconds > DUE_S)
      .map(({ startSeconds }) => startSeconds);
    return Math.min(AGAIN_S, ...next);
  }
}

const DUE_S = 0.5;

export type Destinations = ReadonlyMap<string, string>;

/** What is done elsewhere: so many at a time out of each host, in the order of the list. */
export class CappedDirector implements Director {
  readonly #cap: number;
  readonly #to: Destinations | undefined;

  /** Without `to`, each goes to the host with most free memory at that moment. */
  constructor(cap: number, to?: Destinations) {
    this.#cap = cap;
    this.#to = to;
  }

  start({ scene, on, running }: View): { guest: string; to: string }[] {
    const chosen: { guest: string; from: string; to: string }[] = [...running];
    const started: { guest: string; to: string }[] = [];
    const moving = new Set(running.map(({ guest }) => guest));
    const order =
      this.#to === undefined
        ? scene.guests
        : [...this.#to.keys()].flatMap((name) => scene.guests.filter((each) => each.name === name));
    for (const { name, memoryBytes } of order) {
      const from = on.get(name) ?? '';
      if (!scene.drained.includes(from) || moving.has(name)) continue;
      if (chosen.filter((each) => each.from === from).length >= this.#cap) continue;
      const to = this.#to?.get(name) ?? mostFree(scene, on, chosen, memoryBytes);
      if (to === undefined) continue;
      chosen.push({ guest: name, from, to });
      started.push({ guest: name, to });
    }
    return started;
  }
}

function mostFree(
  { hosts, guests, drained }: Scene,
  on: ReadonlyMap<string, string>,
  chosen: readonly { guest: string; to: string }[],
  needs: number,
): string | undefined {
  const free = new Map(hosts.map(({ name, memoryBytes }) => [name, memoryBytes]));
  for (const { name, memoryBytes } of guests) {
    for (const host of [on.get(name), chosen.find(({ guest }) => guest === name)?.to]) {
      if (host !== undefined) free.set(host, (free.get(host) ?? 0) - memoryBytes);
    }
  }
  const [best] = [...free]
    .filter(([name, bytes]) => !drained.includes(name) && bytes >= needs)
    .toSorted(([, left], [, right]) => right - left);
  return best?.[0];
}

export function inventoryOf({ scene, on, running }: View): Inventory {
  const moving = new Set(running.map(({ guest }) => guest));
  return {
    hosts: scene.hosts,
    guests: scene.guests.map((guest) => ({
      ...guest,
      host: on.get(guest.name) ?? guest.host,
      moving: moving.has(guest.name),
    })),
  };
}
