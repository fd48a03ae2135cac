import type { FakeWorld } from './fake/world.ts';
import type { HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

type Instance = FakeWorld['instances'][number];

/** So long the guest may be paused for a migration that comes to nothing, beyond the time that faults take, ms. */
export const STILL_MS = 30_000;

export interface Violation {
  readonly rule: string;
  readonly atMs: number;
}

interface Beside {
  readonly onStream: (state: string) => void;
  readonly isCold: boolean;
  /**
   * The source has closed the epoch on a proof, or an operator's word: what the guest did at its destination before that host
   * was off is lost, as docs/lifecycle.md states.
   */
  readonly isProved: () => boolean;
}

/** Looks at the hypervisors themselves, after every step; knows nothing of what the movers believe. */
export class Observer {
  readonly #world: FakeWorld;
  readonly #scheduler: Scheduler;
  readonly #report: (text: string) => void;
  readonly #seen = new Set<Instance>();
  readonly #onStream: (state: string) => void;
  readonly #isCold: boolean;
  readonly #isProved: () => boolean;
  /** When a copy came to run last, counted; copies that ran from the beginning are not in it. */
  readonly #ran = new Map<Instance, number>();
  #resumes = 0;
  #stillSince: number | undefined;
  /** The longest time for which no copy ran while one could have, ms. */
  longestStillMs = 0;
  ranAtDestination = false;
  /** The destination has had all that is needed to run the guest. */
  completed = false;
  postcopy = false;
  violation: Violation | undefined;

  constructor(
    world: FakeWorld,
    scheduler: Scheduler,
    report: (text: string) => void,
    { onStream, isCold, isProved }: Beside,
  ) {
    this.#isProved = isProved;
    this.#world = world;
    this.#scheduler = scheduler;
    this.#report = report;
    this.#onStream = onStream;
    this.#isCold = isCold;
    this.look();
  }

  broken(rule: string): void {
    if (this.violation !== undefined) return;
    this.violation = { rule, atMs: this.#scheduler.now };
    this.#report(`BROKEN: ${rule}`);
  }

  /** After every step. */
  look(): void {
    const { instances } = this.#world;
    if (instances.length !== this.#seen.size) {
      for (const instance of instances) if (!this.#seen.has(instance)) this.#follow(instance);
    }
    this.#count();
  }

  #follow(instance: Instance): void {
    this.#seen.add(instance);
    const { host } = instance;
    if (host !== 'a') this.#report(`a hypervisor starts on ${host}`);
    let first = true;
    instance.listen((event) => {
      if (first) return;
      if (event.type !== 'pass') this.#report(`the hypervisor on ${host} says: ${event.type}`);
      if (event.type === 'resumed') this.#resumed(instance);
      if (event.type === 'completed') this.completed = true;
      if (event.type === 'postcopy-active') this.postcopy = true;
      // An order that was on its way when the stream failed still stops the guest. Its undo resumes it, and how long that may
      // take is a rule of its own.
      if (event.type === 'stopped' && !this.#isCold && !/^(active|failed)$/.test(instance.stream)) {
        this.broken(`the guest was stopped on ${host} while its stream was ${instance.stream}`);
      }
      if (host === 'a') this.#onStream(event.type);
    });
    first = false;
  }

  #resumed(instance: Instance): void {
    if (instance.host === 'b') this.ranAtDestination = true;
    // Cold, each start is one from the disks.
    const last = this.#ran.get(instance) ?? (instance === this.#world.instances[0] ? 0 : Infinity);
    const isExcused = this.#isCold || instance.isCold || this.#isProved();
    if (!isExcused && last < this.#lastElsewhere(instance)) {
      const { host } = instance;
      this.broken(
        host === 'a' && this.ranAtDestination
          ? 'the source runs the guest again after it ran at the destination'
          : `${host} runs the guest again from memory that is older than its last run`,
      );
    }
    this.#ran.set(instance, ++this.#resumes);
    this.#count();
  }

  #lastElsewhere(instance: Instance): number {
    const others = [...this.#ran].filter(([other]) => other !== instance);
    return Math.max(0, ...others.map(([, nth]) => nth));
  }

  #count(): void {
    const running = this.running();
    if (running.length > 1) this.broken('two copies of the guest run');
    const now = this.#scheduler.now;
    const alive = this.#world.instances.some((one) => one.alive && one.run !== 'incoming');
    if (running.length === 0 && alive) {
      this.#stillSince ??= now;
      this.longestStillMs = Math.max(this.longestStillMs, now - this.#stillSince);
    } else {
      this.#stillSince = undefined;
    }
  }

  running(): HostName[] {
    return this.#world.runningAt('web1') as HostName[];
  }

  aliveAt(host: HostName): Instance[] {
    return this.#world.instances.filter((one) => one.alive && one.host === host);
  }
}
