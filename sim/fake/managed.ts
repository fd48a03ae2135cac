import { godwitError } from '../../src/errors.ts';
import type {
  ManagedOrder,
  TaskChange,
  TaskSight,
  Whereabouts,
} from '../../src/migration/managed/task-sight.ts';
import type { Check } from '../../src/protocol/public/migration.ts';
import type { DiscoveredGuest, GuestHandle, HandleFacts, Life } from '../../src/port/inventory.ts';
import { FAKE_CAPABILITIES, managedHandle, nameIn } from './managed-handle.ts';
import { HONEST, type ManagerOptions } from './manager-options.ts';
import { ManagedStream, measured, MEMORY_BYTES } from './managed-stream.ts';
import type { ManagedDriver, ManagedInspection, ManagedSession } from '../../src/port/managed.ts';

/** After so long no order that was given up takes effect, ms. */
const SETTLES_MS = 5000;
const LATE_MS = 4000;

interface Task {
  readonly order: ManagedOrder;
  readonly startedMs: number;
  /** When it ended; undefined while it runs. */
  endedMs?: number;
  state: TaskSight['state'];
  readonly stream?: ManagedStream | undefined;
  forgotten: boolean;
}

type Call =
  | 'inspect'
  | 'measure'
  | 'check'
  | 'copies'
  | 'prepare'
  | 'unprepare'
  | 'start'
  | 'look'
  | 'where'
  | 'cancel'
  | 'steer'
  | 'finish';

/** A pretended manager of several hosts, in memory. It outlives the sessions that ask it. */
export class FakeManager {
  readonly options: ManagerOptions;
  /** Every task that was ever started, the forgotten ones too: what tests judge by. */
  readonly tasks: Task[] = [];
  /** Where each guest really runs. */
  readonly guests = new Map<string, string>();
  /** Files at any host, and who made them: a migration's id, or somebody else. */
  readonly volumes = new Map<string, string>();
  /** Each call that anybody made, and when (monotonic ms): what tests judge by. */
  readonly calls: { readonly name: Call; readonly atMs: number }[] = [];
  readonly #answers = new Map<string, unknown>();

  constructor(options: ManagerOptions) {
    this.options = options;
  }

  driver(host: string): ManagedDriver {
    return new FakeManagedDriver(this, host);
  }

  /** Brings each task to where it is by now. */
  turn(): void {
    const now = this.options.clock.monotonicMs();
    const { taskMs = 1000, taskEnds = 'done' } = this.options;
    for (const task of this.tasks) {
      if (task.endedMs !== undefined) continue;
      const planned = task.startedMs + taskMs;
      const ended = task.stream === undefined ? planned : task.stream.endedBy(now);
      if (ended === undefined || now < ended) continue;
      task.endedMs = ended;
      task.state = taskEnds;
      if (taskEnds === 'done') this.guests.set(task.order.guest, task.order.to);
    }
  }

  start(order: ManagedOrder): void {
    this.turn();
    const isSame = ({ order: { id }, forgotten }: Task): boolean => id === order.id && !forgotten;
    if (this.tasks.some(isSame)) return;
    if (this.tasks.some((task) => task.order.guest === order.guest && task.state === 'running')) {
      throw refused('start', 'another task of this guest is under way');
    }
    const isReady = order.copies?.every(({ file }) => this.volumes.get(`${order.to}:${file}`));
    if (isReady === false) throw refused('start', 'nothing was made for a copy');
    const startedMs = this.options.clock.monotonicMs();
    const { dirtying } = this.options;
    const stream = dirtying && new ManagedStream(dirtying, order, startedMs);
    this.tasks.push({ order, startedMs, stream, state: 'running', forgotten: false });
  }

  prepare({ id, to, copies = [] }: ManagedOrder): void {
    for (const { file, name: device } of copies) {
      const owner = this.volumes.get(`${to}:${file}`);
      if (owner !== undefined && owner !== id) {
        throw refused('prepare', `there is a file of that name for ${device}`);
      }
      this.volumes.set(`${to}:${file}`, id);
    }
  }

  unprepare(order: ManagedOrder): string | undefined {
    const { at, busy } = this.where(order);
    if (at !== 'source' || busy === true) throw unreachable('its task goes on');
    for (const { file } of order.copies ?? []) {
      const key = `${order.to}:${file}`;
      if (this.volumes.get(key) === order.id) this.volumes.delete(key);
    }
    return undefined;
  }

  look(id: string): TaskSight {
    const task = this.tasks.findLast(({ order, forgotten }) => order.id === id && !forgotten);
    const { clock, figures, listLagMs = 0, taskMs = 1000 } = this.options;
    const now = clock.monotonicMs();
    if (task === undefined || task.state === 'none') return { state: 'none' };
    if (now < task.startedMs + listLagMs) return { state: 'none' };
    const reported = figures === undefined ? {} : { figures };
    if (task.state === 'running' && task.stream !== undefined) {
      const { postcopy } = task.stream;
      return {
        state: 'running',
        memory: task.stream.sample(now),
        ...(postcopy ? { postcopy } : {}),
      };
    }
    if (task.state === 'failed')
      return { state: 'failed', reason: 'it was made to fail', ...reported };
    if (task.state !== 'running' || figures === undefined)
      return { state: task.state, ...reported };
    const percent = Math.min(100, ((now - task.startedMs) / taskMs) * 100);
    return { state: 'running', percent, ...reported };
  }

  where({ guest, from, to }: ManagedOrder): Whereabouts {
    const now = this.options.clock.monotonicMs();
    const { lagMs = 0 } = this.options;
    const tasks = this.tasks.filter(({ order }) => order.guest === guest);
    const fresh = tasks.find(({ state, endedMs }) => {
      return state === 'done' && endedMs !== undefined && now < endedMs + lagMs;
    });
    const host = fresh === undefined ? this.guests.get(guest) : fresh.order.from;
    const busy = fresh !== undefined || tasks.some(({ state }) => state === 'running');
    const elsewhere = host === undefined ? 'unknown' : 'elsewhere';
    return { at: host === from ? 'source' : host === to ? 'destination' : elsewhere, busy };
  }

  steer(id: string, change: TaskChange): void {
    this.turn();
    const { clock, dirtying } = this.options;
    const refuses = dirtying?.refuses;
    if (refuses === 'all' || (refuses === 'downtime' && 'maxDowntimeMs' in change))
      throw refused('steer', 'it was made to refuse');
    const task = this.tasks.find(({ order, state }) => order.id === id && state === 'running');
    task?.stream?.change(change, clock.monotonicMs());
  }

  cancel(id: string): void {
    this.turn();
    const task = this.tasks.find(({ order, state }) => order.id === id && state === 'running');
    if (task === undefined) return;
    task.state = 'cancelled';
    task.endedMs = this.options.clock.monotonicMs();
  }

  /** It comes back at once; tasks under way go on, as their hosts carry them out. */
  crash(): void {
    this.turn();
    for (const task of this.tasks) if (task.state !== 'running') task.forgotten = true;
  }

  /** A call as it comes over the network, and the manager's temper. */
  async call<T>(name: Call, key: string, signal: AbortSignal, effect: () => T): Promise<T> {
    const { clock, random, behaves = HONEST } = this.options;
    this.calls.push({ name, atMs: clock.monotonicMs() });
    await clock.sleep(1, signal);
    this.turn();
    const share = (chance: number): boolean => random() < chance;
    if (share(behaves.crash)) {
      this.crash();
      throw unreachable('it has just started');
    }
    if (share(behaves.lost)) throw unreachable('the connection was closed');
    if (share(behaves.late)) {
      void clock
        .sleep(random() * LATE_MS)
        .then(effect)
        .catch(() => undefined);
      throw unreachable('no answer');
    }
    const before = this.#answers.get(`${name} ${key}`);
    const answer = effect();
    this.#answers.set(`${name} ${key}`, answer);
    if (share(behaves.twice)) effect();
    if (share(behaves.unanswered)) throw unreachable('the answer was lost');
    return before !== undefined && share(behaves.stale) ? (before as T) : answer;
  }
}

class FakeManagedDriver implements ManagedDriver {
  readonly name = 'fake';
  readonly capabilities = FAKE_CAPABILITIES;
  readonly #manager: FakeManager;
  readonly #host: string;

  constructor(manager: FakeManager, host: string) {
    this.#manager = manager;
    this.#host = host;
  }

  async hypervisors(): Promise<[]> {
    return [];
  }

  async discover(): Promise<DiscoveredGuest[]> {
    const here = [...this.#manager.guests].filter(([, host]) => host === this.#host);
    return here.map(([name, host]) => ({
      handle: managedHandle(name),
      info: { name, host, driver: 'fake', state: 'running', nics: [], devices: [], unmovable: [] },
    }));
  }

  /** Only the manager knows, and its silence proves nothing. */
  async life({ name }: GuestHandle): Promise<Life> {
    if (this.#manager.guests.has(name)) return { state: 'alive' };
    return { state: 'unknown', reason: 'its manager does not know it' };
  }

  describe({ name }: GuestHandle): HandleFacts {
    return { what: `${name} of a pretended manager`, directory: '/' };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const one = nameIn(left);
    return one !== undefined && one === nameIn(right);
  }

  async openManaged({ name }: GuestHandle): Promise<ManagedSession> {
    return sessionOf(this.#manager, name);
  }
}

function sessionOf(manager: FakeManager, guest: string): ManagedSession {
  return {
    settlesMs: SETTLES_MS,
    inspect: (signal) =>
      manager.call('inspect', guest, signal, (): ManagedInspection => {
        return { memoryBytes: MEMORY_BYTES, checks: stateChecks(manager, guest) };
      }),
    measure: (signal) => manager.call('measure', guest, signal, () => measured(manager.options)),
    check: (order, signal) =>
      manager.call('check', order.id, signal, () => [
        ...stateChecks(manager, guest),
        ...hostChecks(manager, order.to),
      ]),
    copies: ({ id }, signal) =>
      manager.call('copies', id, signal, () => [...(manager.options.copies ?? [])]),
    prepare: (order, signal) =>
      manager.call('prepare', order.id, signal, () => manager.prepare(order)),
    unprepare: (order, _, signal) =>
      manager.call('unprepare', order.id, signal, () => manager.unprepare(order)),
    start: (order, signal) => manager.call('start', order.id, signal, () => manager.start(order)),
    look: ({ id }, signal) => manager.call('look', id, signal, () => manager.look(id)),
    where: (order, signal) => manager.call('where', order.id, signal, () => manager.where(order)),
    cancel: ({ id }, signal) => manager.call('cancel', id, signal, () => manager.cancel(id)),
    steer: (order, change, signal) =>
      manager.call('steer', order.id, signal, () => manager.steer(order.id, change)),
    finish: ({ id }, signal) => manager.call('finish', id, signal, () => undefined),
    close: async () => {},
  };
}

function stateChecks(manager: FakeManager, guest: string): Check[] {
  if (manager.guests.has(guest)) {
    return [{ name: 'state', side: 'source', verdict: 'pass', evidence: `${guest} runs` }];
  }
  const error = godwitError('GODWIT_GUEST_STATE', { guest, state: 'stopped' });
  const { message: evidence } = error;
  return [{ name: 'state', side: 'source', verdict: 'refuse', evidence, error: error.toJSON() }];
}

function hostChecks({ options: { hosts } }: FakeManager, host: string): Check[] {
  if (hosts === undefined || hosts.includes(host)) return [];
  const error = godwitError('GODWIT_HOST_UNKNOWN', { host });
  const { message: evidence } = error;
  return [
    { name: 'host', side: 'destination', verdict: 'refuse', evidence, error: error.toJSON() },
  ];
}

function unreachable(reason: string): Error {
  return godwitError('GODWIT_UNREACHABLE', { peer: 'the manager', address: 'fake', reason });
}

function refused(command: string, reason: string): Error {
  return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'fake', host: 'fake', command, reason });
}
