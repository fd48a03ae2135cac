import type { Clock } from '../../../src/clock.ts';
import type { DirectDriver, SourceSession } from '../../../src/port/direct.ts';
import type { GuestSnapshot } from '../../../src/migration/guest-changes/snapshot.ts';
import { fakeWorld, type FakeHosts } from '../../../sim/fake/driver.ts';
import { godwitError } from '../../../src/errors.ts';
import type { HypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import type { Mode } from '../../../src/protocol/public/migration.ts';

type World = FakeHosts;
type Instance = World['instances'][number];

/** What is peculiar about the guest. */
export type Traits = Partial<Parameters<World['boot']>[0]>;

const MIB = 1024 * 1024;

/**
 * A mover's life: once it is dead its calls reach no hypervisor and it hears nothing. What was under way fails, or,
 * where somebody else waits for the mover's answer, is never answered.
 */
export interface Life {
  dead: boolean;
  readonly silent: boolean;
}

/** Goes as fast as the process does: whoever sleeps moves it on. */
function restlessClock(): Clock {
  let now = 0;
  return {
    wallMs: () => now,
    monotonicMs: () => now,
    sleep: async (ms) => {
      now += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** A guest at host a that may move to host b, on fake hypervisors whose every call can be failed or watched. */
export class TwoHosts {
  readonly mode: Mode;
  readonly world: World;
  readonly #guest: Instance;
  /** Calls that fail, before or after their effect; once, or `always`. */
  readonly faults = new Map<
    string,
    { readonly when: 'before' | 'after'; readonly always?: boolean }
  >();
  /** The guest as its hypervisor describes it, where that is compared. */
  snapshot: GuestSnapshot | undefined;
  /** Called when a call begins. */
  onCall: (name: string) => void = () => {};
  /** Every call, in order. */
  readonly calls: string[] = [];

  private constructor(mode: Mode, world: World, traits: Traits) {
    this.mode = mode;
    this.world = world;
    // Where post-copy is asked for, pre-copy is not to win the race.
    const dirtyRate = mode === 'precopy' ? 10 * MIB : 4000 * MIB;
    this.#guest = world.boot({
      name: 'web1',
      host: 'a',
      memoryBytes: 512 * MIB,
      dirtyRate,
      ...traits,
    });
  }

  static async boot(mode: Mode, traits: Traits = {}): Promise<TwoHosts> {
    const clock = restlessClock();
    const hosts = { a: {}, b: {} };
    const world = fakeWorld({ clock, linkRate: 1000 * MIB, hosts, tickMs: 20 });
    return new TwoHosts(mode, world, traits);
  }

  get handle(): Instance['handle'] {
    return this.#guest.handle;
  }

  /** The hypervisor at the source, also after its end. */
  get source(): Instance {
    return this.#guest;
  }

  /** The living hypervisor at the destination. */
  get destination(): Instance | undefined {
    return this.world.instances.find(({ host, alive }) => host === 'b' && alive);
  }

  /** Every hypervisor that lives. */
  get alive(): Instance[] {
    return this.world.instances.filter(({ alive: lives }) => lives);
  }

  /** The link breaks and is there again. */
  breakLink(): void {
    this.world.cutLink();
    this.world.restoreLink();
  }

  close(): void {
    for (const instance of this.world.instances) this.world.kill(instance);
  }

  driver(host: 'a' | 'b', life: Life): DirectDriver {
    const driver = this.#watched(this.world.driver(host), 'driver', life);
    return {
      name: driver.name,
      capabilities: driver.capabilities,
      hypervisors: (signal) => driver.hypervisors(signal),
      discover: (options, signal) => driver.discover(options, signal),
      life: (handle) => driver.life(handle),
      describe: (handle) => driver.describe(handle),
      isSame: (left, right) => driver.isSame(left, right),
      mayReachUs: (handle) => driver.mayReachUs(handle),
      openSource: async (guest, signal) =>
        this.#watched(this.#described(await driver.openSource(guest, signal)), 'source', life),
      openDestination: async (options) =>
        this.#watched(await driver.openDestination(options), 'destination', life),
    };
  }

  #described(session: SourceSession): SourceSession {
    if (this.snapshot === undefined) return session;
    const inspect = session.inspect.bind(session);
    return Object.assign(session, {
      inspect: async (...given: Parameters<typeof inspect>) => ({
        ...(await inspect(...given)),
        snapshot: this.snapshot,
      }),
      snapshot: async () => this.snapshot,
    });
  }

  /** The same object, whose calls are written down, failed and watched. */
  #watched<T extends object>(target: T, side: string, life: Life): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object);
        if (typeof value !== 'function') return value;
        const own = value.bind(object) as (...given: unknown[]) => unknown;
        if (key === 'close' || key === 'nics') return own;
        if (key === 'onEvent') {
          return (listener: (event: HypervisorEvent) => void) =>
            own((event: HypervisorEvent) => {
              if (!life.dead) listener(event);
            });
        }
        return (...given: unknown[]) =>
          this.#call(life, `${side}.${String(key)}`, async () => own(...given));
      },
    });
  }

  async #call<T>(life: Life, name: string, deed: () => Promise<T>): Promise<T> {
    await alive(life);
    this.calls.push(name);
    this.onCall(name);
    const fault = this.faults.get(name);
    if (fault !== undefined && fault.always !== true) this.faults.delete(name);
    if (fault?.when === 'before') throw refused(name);
    const result = await deed();
    if (this.world.runningAt('web1').length > 1) throw new Error('the guest runs on both hosts');
    if (fault?.when === 'after') throw refused(name);
    await alive(life);
    return result;
  }
}

async function alive({ dead, silent }: Life): Promise<void> {
  if (!dead) return;
  if (!silent) throw new Error('its mover is dead');
  await new Promise<never>(() => {});
}

function refused(command: string): Error {
  const facts = { hypervisor: 'fake', host: 'a', command, reason: 'it was to fail' };
  return godwitError('GODWIT_HYPERVISOR', facts);
}
