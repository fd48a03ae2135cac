/** A drain in a seeded world: links that are not quite what they are said to be, guests that write more or less than was sampled. */

import type { PlannerGuest, PlannerHost, Trunk } from '../../src/planner/inventory.ts';
import type { Random } from '../random.ts';
import { ratesOf } from './pipes.ts';
import { Precopy } from './precopy.ts';

export interface Scene {
  readonly name: string;
  readonly hosts: readonly PlannerHost[];
  readonly guests: readonly PlannerGuest[];
  readonly trunks: readonly Trunk[];
  readonly drained: readonly string[];
}

/** How far the world is from what is reported of it: spreads of the logarithm. */
export interface Noise {
  readonly link: number;
  readonly wobble: number;
  readonly dirty: number;
  readonly used: number;
  readonly fixed: number;
  readonly share: number;
}

export const NOISE: Noise = {
  link: 0.1,
  wobble: 0.08,
  dirty: 0.25,
  used: 0.05,
  fixed: 0.4,
  share: 0.25,
};
export const CALM: Noise = { link: 0, wobble: 0, dirty: 0, used: 0, fixed: 0, share: 0 };

export interface Underway {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly elapsedSeconds: number;
  readonly leftBytes?: number;
  readonly roundSeconds?: number;
  readonly bytesPerSecond?: number;
}

/** What a director sees. */
export interface View {
  readonly seconds: number;
  readonly scene: Scene;
  /** Where each guest is. */
  readonly on: ReadonlyMap<string, string>;
  readonly running: readonly Underway[];
}

/** Who decides what starts. It is asked when a move has ended, and at the moment it asked for. */
export interface Director {
  start(view: View): { readonly guest: string; readonly to: string }[];
  /** When it wants to be asked again, s from now, if nothing ends before. */
  again?(): number;
}

export interface DrainResult {
  readonly seconds: number;
  readonly sentBytes: number;
  /** How much memory a host had too little at any time, bytes: 0. */
  readonly overBytes: number;
}

/** Memory flows so fast at most by one mover, bytes/s, and these are its fixed times, s. */
const CEILING = 333e6;
const LEAD_S = 2.5;
const TAIL_S = 0.5;
const WOBBLE_S = 15;
const LONGEST_S = 48 * 3600;

/** How far a guest and its move are from what is said of them. */
interface Truth {
  readonly used: number;
  readonly dirty: number;
  readonly lead: number;
  readonly tail: number;
  readonly weight: number;
  readonly ceiling: number;
}

interface Running {
  readonly guest: PlannerGuest;
  readonly from: string;
  readonly to: string;
  readonly began: number;
  readonly move: Precopy;
  readonly pipes: readonly string[];
  readonly weight: number;
  readonly ceiling: number;
}

export class DrainWorld {
  readonly #scene: Scene;
  readonly #random: Random;
  readonly #noise: Noise;
  readonly #on: Map<string, string>;
  readonly #steady = new Map<string, number>();
  /** Drawn before anything moves, by the guest: whoever directs has the same weather, whatever it begins when. */
  readonly #truths: ReadonlyMap<string, Truth>;
  #carries = new Map<string, number>();
  #running: Running[] = [];
  #seconds = 0;
  #sent = 0;
  #rate: readonly number[] = [];
  #over = 0;

  constructor(scene: Scene, random: Random, noise: Noise = NOISE) {
    this.#scene = scene;
    this.#random = random;
    this.#noise = noise;
    this.#on = new Map(scene.guests.map(({ name, host }) => [name, host]));
    for (const { name, linkBytesPerSecond = 0 } of scene.hosts) {
      this.#steady.set(`out ${name}`, linkBytesPerSecond * this.#off(noise.link));
      this.#steady.set(`in ${name}`, linkBytesPerSecond * this.#off(noise.link));
    }
    for (const { between, bytesPerSecond } of scene.trunks) {
      for (const [from, to] of [between, between.toReversed()]) {
        this.#steady.set(`trunk ${from} ${to}`, bytesPerSecond * this.#off(noise.link));
      }
    }
    this.#truths = new Map(scene.guests.map(({ name }) => [name, this.#truth()]));
    this.#wobble();
  }

  #truth(): Truth {
    const { fixed, dirty, used, share, link } = this.#noise;
    return {
      used: this.#off(used),
      dirty: this.#off(dirty),
      lead: this.#off(fixed),
      tail: this.#off(fixed),
      weight: this.#off(share),
      ceiling: this.#off(link),
    };
  }

  /** What a link really carries, bytes/s: for bounds. */
  get steady(): ReadonlyMap<string, number> {
    return this.#steady;
  }

  /** Throws where the director leaves guests where they are, or needs longer than two days. */
  run(director: Director): DrainResult {
    const drained = new Set(this.#scene.drained);
    let wobbled = 0;
    let asked = 0;
    for (let ask = true; ;) {
      if (ask) {
        for (const { guest, to } of director.start(this.#view())) this.#begin(guest, to);
        asked = this.#seconds + Math.max(0.5, director.again?.() ?? Infinity);
      }
      if (this.#running.length === 0) break;
      if (this.#seconds > LONGEST_S) throw new Error(`${this.#scene.name}: no end`);
      const rates = this.#rates();
      this.#rate = rates;
      let step = Math.min(wobbled + WOBBLE_S, asked) - this.#seconds;
      for (const [place, { move }] of this.#running.entries()) {
        step = Math.min(step, move.until(rates[place] ?? 0));
      }
      step = Math.max(step, 1e-3);
      this.#seconds += step;
      for (const [place, { move }] of this.#running.entries()) {
        move.advance(step, rates[place] ?? 0);
      }
      ask = this.#land() || this.#seconds >= asked;
      if (this.#seconds < wobbled + WOBBLE_S) continue;
      wobbled = this.#seconds;
      this.#wobble();
    }
    const stay = [...this.#on].filter(([, host]) => drained.has(host));
    if (stay.length > 0) throw new Error(`${this.#scene.name}: ${stay.length} guests stay`);
    return { seconds: this.#seconds, sentBytes: this.#sent, overBytes: this.#over };
  }

  #off(spread: number): number {
    const [one, other] = [Math.max(1e-9, this.#random.next()), this.#random.next()];
    const normal = Math.sqrt(-2 * Math.log(one)) * Math.cos(2 * Math.PI * other);
    return Math.exp(spread * Math.max(-2.5, Math.min(2.5, normal)));
  }

  #wobble(): void {
    this.#carries = new Map(
      [...this.#steady].map(([pipe, bytes]) => [pipe, bytes * this.#off(this.#noise.wobble)]),
    );
  }

  #rates(): number[] {
    const flowing = [...this.#running.entries()].filter(([, { move }]) => move.flows);
    const rates = ratesOf(
      flowing.map(([, each]) => each),
      this.#carries,
    );
    const all = this.#running.map(() => 0);
    for (const [index, [place]] of flowing.entries()) all[place] = rates[index] ?? 0;
    return all;
  }

  #begin(name: string, to: string): void {
    const guest = this.#scene.guests.find((each) => each.name === name);
    const from = this.#on.get(name);
    const truth = this.#truths.get(name);
    if (guest === undefined || from === undefined || truth === undefined)
      throw new Error(`${name}: no such guest`);
    if (this.#running.some((each) => each.guest === guest)) throw new Error(`${name}: moves twice`);
    const usedBytes = Math.min(
      guest.memoryBytes,
      (guest.usedBytes ?? guest.memoryBytes) * truth.used,
    );
    const move = new Precopy({
      usedBytes,
      dirtyBytesPerSecond: (guest.dirtyBytesPerSecond ?? 0) * truth.dirty,
      workingSetBytes: Math.min(usedBytes, guest.workingSetBytes ?? usedBytes),
      leadSeconds: LEAD_S * truth.lead,
      tailSeconds: TAIL_S * truth.tail,
    });
    this.#running.push({
      guest,
      from,
      to,
      began: this.#seconds,
      move,
      pipes: this.#pipes(from, to),
      weight: truth.weight,
      ceiling: CEILING * truth.ceiling,
    });
    this.#measureMemory(to);
  }

  #pipes(from: string, to: string): string[] {
    const site = (name: string): string =>
      this.#scene.hosts.find((each) => each.name === name)?.site ?? '';
    const trunk = `trunk ${site(from)} ${site(to)}`;
    return [`out ${from}`, `in ${to}`, ...(this.#steady.has(trunk) ? [trunk] : [])];
  }

  #measureMemory(name: string): void {
    const host = this.#scene.hosts.find((each) => each.name === name);
    const here = this.#scene.guests.filter((each) => this.#on.get(each.name) === name);
    const coming = this.#running.filter(({ to }) => to === name).map(({ guest }) => guest);
    const held = [...here, ...coming].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    this.#over = Math.max(this.#over, held - (host?.memoryBytes ?? 0));
  }

  #land(): boolean {
    const landed = this.#running.filter(({ move }) => move.ended);
    this.#rate = this.#rate.filter((_, place) => this.#running[place]?.move.ended === false);
    for (const { guest, to, move } of landed) {
      this.#on.set(guest.name, to);
      this.#sent += move.sentBytes;
    }
    this.#running = this.#running.filter(({ move }) => !move.ended);
    return landed.length > 0;
  }

  #view(): View {
    return {
      seconds: this.#seconds,
      scene: this.#scene,
      on: this.#on,
      running: this.#running.map(({ guest, from, to, began, move }, place) => ({
        guest: guest.name,
        from,
        to,
        elapsedSeconds: this.#seconds - began,
        bytesPerSecond: this.#rate[place] ?? 0,
        ...move.seen,
      })),
    };
  }
}
