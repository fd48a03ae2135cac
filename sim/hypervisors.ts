import type { DirectDriver, HypervisorEvent } from '../src/port/direct.ts';
import { godwitError } from '../src/errors.ts';
import { never, type SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { CallFault, HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

/** What a driver's calls meet on their way. */
export interface HypervisorPath {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** The fault that this call runs into, if any; it is used up. */
  readonly faultOf: (call: string) => CallFault | undefined;
  /** Until when a new stream gets no connection. */
  readonly stalledUntil: () => number;
  readonly report: (text: string) => void;
  /** Until when a hypervisor carries nothing out, by host: it has one loop for all who ask. */
  readonly hungUntil: Record<HostName, number>;
}

/** Calls that start a process. */
const STARTS: ReadonlySet<string> = new Set([
  'destination.start',
  'destination.startCold',
  'driver.relaunch',
]);

interface Closable {
  close(): Promise<void>;
}

/** The driver as one mover has it: each call takes its time, may fail, and is carried out though its mover dies. */
export function driverFor(
  process: SimProcess,
  driver: DirectDriver,
  path: HypervisorPath,
): DirectDriver {
  const opened = <T extends Closable & object>(session: T, side: string): T => {
    if (process.dead) void session.close();
    process.atDeath(() => void session.close());
    return new Monitor(process, path).watched(session, side);
  };
  const monitor = new Monitor(process, path);
  return {
    name: driver.name,
    capabilities: driver.capabilities,
    hypervisors: (signal) => driver.hypervisors(signal),
    discover: (options, signal) => driver.discover(options, signal),
    life: (handle) => driver.life(handle),
    describe: (handle) => driver.describe(handle),
    isSame: (left, right) => driver.isSame(left, right),
    mayReachUs: (handle) => driver.mayReachUs(handle),
    relaunch: async (handle, launch, permission, signal) =>
      monitor.call('driver.relaunch', signal, async () => {
        const again = await driver.relaunch?.(
          handle,
          launch,
          permission,
          new AbortController().signal,
        );
        return again ?? handle;
      }),
    openSource: async (guest, signal) =>
      monitor.call('driver.openSource', signal, async () =>
        opened(await driver.openSource(guest, new AbortController().signal), 'source'),
      ),
    openDestination: async (options) =>
      monitor.call('driver.openDestination', undefined, async () =>
        opened(await driver.openDestination(options), 'destination'),
      ),
  };
}

/** One connection to a hypervisor: commands are carried out in order, answers and events come in order. */
class Monitor {
  readonly #process: SimProcess;
  readonly #path: HypervisorPath;
  #freeAt = 0;
  #heardAt = 0;

  constructor(process: SimProcess, path: HypervisorPath) {
    this.#process = process;
    this.#path = path;
  }

  watched<T extends object>(session: T, side: string): T {
    return new Proxy(session, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object);
        if (typeof value !== 'function') return value;
        const own = value.bind(object) as (...given: unknown[]) => unknown;
        if (key === 'nics') return own;
        if (key === 'close') return () => (this.#process.dead ? never() : own());
        if (key === 'onEvent') return (listener: Listener) => this.#listen(own, listener);
        const name = `${side}.${String(key)}`;
        return (...given: unknown[]) => {
          const last = given.at(-1);
          const signal = last instanceof AbortSignal ? last : undefined;
          // What was sent is carried out, whether or not anybody still waits for it.
          const rest = signal === undefined ? given : given.slice(0, -1);
          return this.call(name, signal, async () => own(...rest, new AbortController().signal));
        };
      },
    });
  }

  #listen(own: (...given: unknown[]) => unknown, listener: Listener): unknown {
    if (this.#process.dead) return () => {};
    return own((event: HypervisorEvent) => this.#hear(() => listener(event)));
  }

  /** Something comes from the hypervisor, after all that came before. */
  #hear(then: () => void): void {
    const { scheduler, random } = this.#path;
    this.#heardAt = Math.max(this.#heardAt, scheduler.now + random.between(0.05, 0.6));
    scheduler.after(this.#heardAt - scheduler.now, this.#process, then);
  }

  async call<T>(name: string, signal: AbortSignal | undefined, deed: () => Promise<T>): Promise<T> {
    const process = this.#process;
    const { scheduler, random, faultOf, stalledUntil, hungUntil, report } = this.#path;
    process.pass('before', name);
    if (process.dead) return never();
    signal?.throwIfAborted();
    const fault = faultOf(name);
    if (fault !== undefined) report(`${name} is made to fail (${fault.how})`);
    let ms = random.between(0.05, 1);
    const { host } = process;
    if (fault?.how === 'hang') hungUntil[host] = scheduler.now + fault.forMs;
    ms = Math.max(ms, hungUntil[host] - scheduler.now);
    // Nobody answers a connection while nothing passes.
    if (/startMemory|recover/.test(name)) ms = Math.max(ms, stalledUntil() - scheduler.now);
    this.#freeAt = Math.max(this.#freeAt, scheduler.now + ms);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const answer = (then: () => void): void => {
      this.#hear(() => {
        process.pass('after', name);
        if (!process.dead) then();
      });
    };
    scheduler.after(this.#freeAt - scheduler.now, undefined, () => {
      // A process is started by its mover, not by somebody who goes on without it.
      if (process.dead && STARTS.has(name)) return;
      if (fault?.how === 'before') {
        answer(() => reject(refused(name)));
        return;
      }
      deed().then(
        (result) =>
          answer(() => (fault?.how === 'after' ? reject(refused(name)) : resolve(result))),
        (thrown: Error) => answer(() => reject(thrown)),
      );
    });
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    return promise;
  }
}

type Listener = (event: HypervisorEvent) => void;

function refused(command: string): Error {
  const facts = { hypervisor: 'fake', host: 'sim', command, reason: 'a fault put in' };
  return godwitError('GODWIT_HYPERVISOR', facts);
}
