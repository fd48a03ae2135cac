import type { Clock } from '../../src/clock.ts';
import { defined } from '../../src/protocol/defined.ts';
import type { HypervisorEvent, HypervisorStatus, StreamSetup } from '../../src/port/direct.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import { fakeHandle } from './handle.ts';

/** What a pretended guest is. Rates are bytes/s. */
export interface FakeGuest {
  readonly name: string;
  readonly uuid?: string;
  readonly host: string;
  readonly memoryBytes: number;
  readonly dirtyRate: number;
  readonly machine?: string;
  readonly nics?: readonly { readonly id: string; readonly mac: string; readonly bridge: string }[];
  /** Names of devices that cannot move. */
  readonly unmovable?: readonly string[];
}

type Stream = HypervisorStatus['stream'];

/** A pretended hypervisor process with one guest. */
export class FakeInstance {
  readonly name: string;
  readonly guest: FakeGuest;
  readonly host: string;
  readonly pid: number;
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  run: HypervisorStatus['run'];
  stream: Stream = 'none';
  reason: string | undefined;
  alive = true;
  /** Sessions that hold it: a hypervisor speaks to one at a time. */
  held = false;
  settings: Partial<StreamSetup> = {};
  /** Where it listens for memory. */
  address: string | undefined;
  /** The other end of its stream. */
  peer: FakeInstance | undefined;
  wantsPostcopy = false;
  /** Resolves once its guest, which was asked to shut down, has done so. */
  goesDown: Promise<void> | undefined;
  /** It was started without memory to come. */
  isCold = false;
  /** It runs its guest again by itself when its stream breaks off. */
  runsOn = true;
  mayContinue = false;
  /** Bytes of memory that the other side does not have yet. */
  remainingBytes = 0;
  transferredBytes = 0;
  round = 0;
  startedMs = 0;
  stoppedMs = 0;
  downtimeMs: number | undefined;
  endedMs: number | undefined;
  /** Grows with each resume: what the memory says, carried over by a completed stream. */
  memory = 1;

  constructor(
    clock: Clock,
    guest: FakeGuest,
    host: string,
    pid: number,
    run: HypervisorStatus['run'],
  ) {
    this.#clock = clock;
    this.guest = guest;
    this.name = guest.name;
    this.host = host;
    this.pid = pid;
    this.run = run;
  }

  get handle(): GuestHandle {
    return fakeHandle(this.name, this.pid);
  }

  get status(): HypervisorStatus {
    if (!this.alive) return { run: 'gone', stream: 'none', reason: 'its process has ended' };
    const { run, stream, reason } = this;
    return { run, stream, ...defined({ reason }) };
  }

  listen(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    for (const event of this.#now()) listener(event);
    return () => this.#listeners.delete(listener);
  }

  /** What is already so, as events. */
  #now(): HypervisorEvent[] {
    if (!this.alive) return [{ type: 'lost', reason: 'its process has ended' }];
    const events: HypervisorEvent[] = [];
    if (this.run === 'running') events.push({ type: 'resumed' });
    if (this.run === 'paused' || this.run === 'handed-over') events.push({ type: 'stopped' });
    const past = this.run === 'running' && /^(cancelled|failed)$/.test(this.stream);
    const event = past ? undefined : streamEvent(this.stream, this.reason);
    return event === undefined ? events : [...events, event];
  }

  emit(event: HypervisorEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  to(stream: Stream, reason?: string): void {
    this.stream = stream;
    this.reason = reason;
    const event = streamEvent(stream, reason);
    if (event !== undefined) this.emit(event);
  }

  stop(): void {
    if (this.run !== 'running') return;
    this.run = 'paused';
    this.stoppedMs = this.#clock.monotonicMs();
    this.emit({ type: 'stopped' });
  }

  resume(): void {
    if (!this.alive || this.run === 'running') return;
    this.run = 'running';
    this.memory++;
    this.emit({ type: 'resumed' });
  }

  end(reason: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.run = 'gone';
    this.emit({ type: 'lost', reason });
    this.#listeners.clear();
  }

  /** Before the last state has gone the source runs on by itself; with post-copy both ends wait. */
  breakStream(reason: string): void {
    if (!this.alive) return;
    switch (this.stream) {
      case 'postcopy-active':
      case 'postcopy-recovering':
        this.to('postcopy-paused', reason);
        return;
      case 'setup':
      case 'active':
      case 'pre-switchover':
      case 'device':
        this.to('failed', reason);
        if (this.peer !== undefined && this.address === undefined && this.runsOn) this.resume();
        return;
      default:
    }
  }
}

function streamEvent(stream: Stream, reason = ''): HypervisorEvent | undefined {
  if (stream === 'none') return undefined;
  if (stream === 'failed' || stream === 'postcopy-paused') return { type: stream, reason };
  return { type: stream };
}
