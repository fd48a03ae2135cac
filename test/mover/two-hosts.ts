import type {
  DestinationSession,
  Driver,
  HypervisorEvent,
  HypervisorStatus,
  SourceSession,
} from '../../src/drivers/driver.ts';
import { godwitError } from '../../src/errors.ts';
import type { MemorySample, Mode } from '../../src/protocol/migration.ts';
import { descriptionOf, sampleOf } from '../migration/samples.ts';

/**
 * A mover's life: once it is dead its calls reach no hypervisor and it hears nothing. What was under way fails, or,
 * where somebody else waits for the mover's answer, is never answered.
 */
export interface Life {
  dead: boolean;
  readonly silent: boolean;
}

export type Fault = 'before' | 'after';

/**
 * One guest, its hypervisor at the source and the paused one at the destination, behind the port. They behave as QEMU
 * does, only at once: nothing here waits for time.
 */
export class TwoHosts {
  readonly mode: Mode;
  run: HypervisorStatus['run'] = 'running';
  stream: HypervisorStatus['stream'] = 'none';
  there: 'none' | 'incoming' | 'paused' | 'running' | 'gone' = 'none';
  configured = false;
  round = 0;
  /** Calls that fail, before or after their effect; `always`, or just once. */
  readonly faults = new Map<string, { readonly when: Fault; readonly always?: boolean }>();
  /** Called when a call begins. */
  onCall: (name: string) => void = () => {};
  /** Every call, in order. */
  readonly calls: string[] = [];
  readonly #here = new Set<(event: HypervisorEvent) => void>();
  readonly #away = new Set<(event: HypervisorEvent) => void>();

  constructor(mode: Mode) {
    this.mode = mode;
  }

  driver(life: Life): Driver {
    return {
      name: 'fake',
      capabilities: {
        shape: 'direct',
        modes: ['precopy', 'postcopy', 'hybrid'],
        compression: ['none'],
        maxStreams: 1,
        postcopyRecovery: true,
      },
      hypervisors: async () => [],
      discover: async () => [],
      openSource: () => this.#call(life, 'openSource', () => this.#source(life)),
      openDestination: () => this.#call(life, 'openDestination', () => this.#destination(life)),
    };
  }

  async #call<T>(life: Life, name: string, deed: () => T): Promise<T> {
    await alive(life);
    this.calls.push(name);
    this.onCall(name);
    const fault = this.faults.get(name);
    if (fault !== undefined && fault.always !== true) this.faults.delete(name);
    if (fault?.when === 'before') throw refused(name);
    const result = deed();
    this.check();
    if (fault?.when === 'after') throw refused(name);
    // An answer never comes in the same turn as its question.
    await new Promise((resolve) => setImmediate(resolve));
    await alive(life);
    return result;
  }

  check(): void {
    if (this.run === 'running' && this.there === 'running') {
      throw new Error('the guest runs on both hosts');
    }
  }

  #says(stream: HypervisorStatus['stream'], ...events: HypervisorEvent[]): void {
    this.stream = stream;
    for (const event of events) {
      for (const listener of this.#here) listener(event);
    }
  }

  /** Memory flows: turn by turn up to the switch, or on and on until post-copy is asked for. */
  #flow(): void {
    if (this.run === 'gone') return;
    if (this.stream === 'setup') this.#says('active', { type: 'active' });
    else if (this.stream === 'active') {
      this.round += 1;
      this.#says('active', { type: 'pass', round: this.round });
      if (this.mode === 'precopy' && this.round > 2) {
        this.run = 'paused';
        this.#says('pre-switchover', { type: 'stopped' }, { type: 'pre-switchover' });
      }
    }
    if (this.stream === 'active') setImmediate(() => this.#flow());
  }

  #handOver(): void {
    if (this.stream !== 'device' || this.run === 'gone') return;
    this.run = 'handed-over';
    this.there = 'paused';
    if (this.mode === 'precopy') {
      this.#says('completed', { type: 'completed' });
      for (const listener of this.#away) listener({ type: 'completed' });
    } else {
      this.#says('postcopy-active', { type: 'postcopy-active' });
      for (const listener of this.#away) listener({ type: 'postcopy-active' });
    }
  }

  #drained(): void {
    if (this.stream !== 'postcopy-active' || this.run === 'gone') return;
    this.#says('completed', { type: 'completed' });
    for (const listener of this.#away) listener({ type: 'completed' });
  }

  /** The source's process is killed. */
  sourceDies(): void {
    this.run = 'gone';
    this.#says('none', { type: 'lost', reason: 'killed' });
  }

  destinationDies(): void {
    this.there = 'gone';
    for (const listener of this.#away) listener({ type: 'lost', reason: 'killed' });
  }

  /** The link breaks: before everything was handed over, the source runs the guest on by itself. */
  linkBreaks(): void {
    if (this.stream === 'postcopy-active') {
      this.#says('postcopy-paused', { type: 'postcopy-paused', reason: 'cut' });
    } else {
      this.#again();
      this.#says('failed', { type: 'failed', reason: 'cut' }, { type: 'resumed' });
    }
  }

  #again(): void {
    this.run = 'running';
    this.check();
  }

  #heard(
    listeners: Set<(event: HypervisorEvent) => void>,
    life: Life,
    listener: (event: HypervisorEvent) => void,
  ): () => void {
    const mine = (event: HypervisorEvent): void => {
      if (!life.dead) listener(event);
    };
    listeners.add(mine);
    if (listeners === this.#here) {
      if (this.run === 'paused' || this.run === 'handed-over') mine({ type: 'stopped' });
      const { stream } = this;
      const over = stream === 'none' || stream === 'failed' || stream === 'cancelled';
      if (!over) mine({ type: stream, reason: '' });
    }
    return () => listeners.delete(mine);
  }

  #source(life: Life): SourceSession {
    if (this.run === 'gone') throw gone();
    const call = <T>(name: string, deed: () => T): Promise<T> => this.#call(life, name, deed);
    return {
      handle: { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '' },
      onEvent: (listener) => this.#heard(this.#here, life, listener),
      status: () => call('status', () => ({ run: this.run, stream: this.stream })),
      close: async () => {},
      ports: () => call('ports', () => []),
      inspect: () => call('inspect', () => ({ description: descriptionOf(), checks: [] })),
      configure: () => call('configure', () => void (this.configured = true)),
      startMemory: () => call('startMemory', () => this.#start()),
      sample: () => call('sample', (): MemorySample => this.#sample()),
      adjust: () => call('adjust', () => {}),
      startPostcopy: () => call('startPostcopy', () => this.#startPostcopy()),
      continueSwitchover: () => call('continueSwitchover', () => this.#continue()),
      cancel: () => call('cancel', () => this.#cancel()),
      recover: () => call('recover', () => this.#recover()),
      resumeGuest: () => call('resumeGuest', () => this.#again()),
      unconfigure: () => call('unconfigure', () => void (this.configured = false)),
      quit: () => call('quit', () => void (this.run = 'gone')),
    };
  }

  #start(): void {
    if (this.there !== 'incoming') throw refused('migrate');
    this.#says('setup', { type: 'setup' });
    setImmediate(() => this.#flow());
  }

  #sample(): MemorySample {
    return sampleOf({ round: this.round, downtimeMs: 7, transferredBytes: this.round * 1000 });
  }

  #startPostcopy(): void {
    if (this.stream !== 'active') throw refused('migrate-start-postcopy');
    this.run = 'paused';
    this.#says('device', { type: 'device' }, { type: 'stopped' });
    setImmediate(() => this.#handOver());
  }

  #continue(): void {
    if (this.stream !== 'pre-switchover') return;
    this.#says('device', { type: 'device' });
    setImmediate(() => this.#handOver());
  }

  #cancel(): HypervisorStatus {
    if (this.run === 'running' || this.run === 'paused') {
      const stood = this.run === 'paused';
      this.#again();
      if (this.stream !== 'none') this.#says('cancelled', { type: 'cancelled' });
      if (stood) this.#says('cancelled', { type: 'resumed' });
    }
    return { run: this.run, stream: this.stream };
  }

  #recover(): void {
    this.#says('postcopy-active', { type: 'postcopy-active' });
    setImmediate(() => this.#drained());
  }

  #destination(life: Life): DestinationSession {
    const call = <T>(name: string, deed: () => T): Promise<T> => this.#call(life, name, deed);
    const memoryAddress = '127.0.0.1:9';
    return {
      onEvent: (listener) => this.#heard(this.#away, life, listener),
      status: () => call('destination.status', () => ({ run: 'incoming', stream: 'none' })),
      close: async () => {},
      assess: () => call('assess', () => []),
      nics: () => [],
      start: () =>
        call('start', () => {
          if (this.there === 'none') this.there = 'incoming';
          const handle = { driver: 'fake', name: 'web1', pid: 2, startTicks: 1, monitor: '' };
          return { handle, memoryAddress };
        }),
      resumeGuest: () => call('destination.resumeGuest', () => this.#runThere()),
      announce: () => call('announce', () => {}),
      listenAgain: () => call('listenAgain', () => ({ memoryAddress })),
      settle: () => call('settle', () => {}),
      destroy: () => call('destroy', () => void (this.there = 'none')),
    };
  }

  #runThere(): void {
    if (this.there === 'incoming') throw new Error('commit came before everything was handed over');
    if (this.there === 'gone') throw refused('cont');
    this.there = 'running';
    setImmediate(() => this.#drained());
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

function gone(): Error {
  const facts = { side: 'source', guest: 'web1', reason: 'killed' };
  return godwitError('GODWIT_HYPERVISOR_LOST', facts);
}
