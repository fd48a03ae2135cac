import assert from 'node:assert/strict';
import { withDeadline } from '../../src/deadline.ts';
import type {
  DestinationOptions,
  DestinationSession,
  DirectDriver,
  HypervisorEvent,
  HypervisorSession,
  SourceSession,
  StreamSetup,
  DestinationStart,
} from '../../src/port/direct.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import type { StreamMode as Mode } from '../../src/protocol/public/migration.ts';
import type { GuestDescription, StreamSettings } from '../../src/protocol/peer/migration.ts';

const WAIT_MS = 60_000;
/** The destination's name in its certificate. */
export const TLS_NAME = 'b';

/** A place where a driver can be tried: a guest that runs, and another host for it. */
export interface TrialSite {
  readonly source: DirectDriver;
  readonly destination: DirectDriver;
  readonly sourceHost: string;
  readonly destinationOptions: DestinationOptions;
  readonly guest: string;
  /** The handle of a hypervisor that has ended, by one that lives. */
  ghost(handle: GuestHandle): GuestHandle;
  readonly credentials?: {
    readonly source: NonNullable<StreamSetup['credentials']>;
    readonly destination: NonNullable<StreamSetup['credentials']>;
  };
  /** Slows the stream so that a test can act while it runs, bytes/s. */
  readonly slow: number;
  /** The address under which the source reaches one of the destination, where that is another. */
  route?(address: string): Promise<string>;
  /** Breaks the streams under way as a failing link would; new ones may be made. */
  breakLink(): Promise<void>;
  /** From now on the streams under way take nothing, and no end is reported; where the place can do that. */
  silenceLink?(): Promise<void>;
  /** From now on the source hears nothing of what the destination answers on the streams; where the place can do that. */
  muteReturn?(): Promise<void>;
  /** The hypervisor's monitor answers nobody, until the function that this gives is called; where there is a monitor. */
  deafen?(handle: GuestHandle): Promise<() => void>;
  dispose(): Promise<void>;
}

/** One guest, its sessions and what their hypervisors said. */
export class Trial {
  readonly place: TrialSite;
  readonly signal: AbortSignal;
  readonly said: { side: 'source' | 'destination'; event: HypervisorEvent }[] = [];
  readonly #end = new AbortController();
  readonly #sessions: HypervisorSession[] = [];
  readonly #waiting = new Set<() => void>();
  destination: DestinationSession | undefined;
  /** The switchover waits to be continued. */
  held = true;
  /** How the stream is to be sent. */
  shape: Pick<StreamSettings, 'streams' | 'compress'> = { streams: 1, compress: 'none' };

  constructor(place: TrialSite) {
    this.place = place;
    this.signal = this.#end.signal;
  }

  async handle(): Promise<GuestHandle> {
    const { source, sourceHost, guest } = this.place;
    const options = { host: sourceHost, busy: new Set<string>(), configured: [] };
    const found = await source.discover(options, this.signal);
    const handle = found.find(({ info }) => info.name === guest)?.handle;
    assert.ok(handle, `${guest} is found`);
    return handle;
  }

  async openSource(): Promise<SourceSession> {
    const session = await this.place.source.openSource(await this.handle(), this.signal);
    this.#listen('source', session);
    return session;
  }

  /** `started`: by the one before it, whose heir it is. */
  async openDestination(started?: DestinationStart): Promise<DestinationSession> {
    const { handle, launch } = started ?? {};
    const known = { ...(handle && { handle }), ...(launch && { launch }) };
    const options = { ...this.place.destinationOptions, ...known };
    const session = await this.place.destination.openDestination(options);
    this.#listen('destination', session);
    this.destination = session;
    return session;
  }

  #listen(side: 'source' | 'destination', session: HypervisorSession): void {
    this.#sessions.push(session);
    session.onEvent((event) => {
      this.said.push({ side, event });
      for (const wake of this.#waiting) wake();
    });
  }

  stream(mode: Mode): StreamSettings {
    const tls = this.place.credentials !== undefined;
    return { mode, ...this.shape, tls };
  }

  setup(mode: Mode, side: 'source' | 'destination', maxBandwidth?: number): StreamSetup {
    const credentials = this.place.credentials?.[side];
    return {
      ...this.stream(mode),
      maxDowntimeMs: 200,
      holdSwitchover: this.held,
      ...(credentials === undefined ? {} : { credentials }),
      ...(maxBandwidth === undefined ? {} : { maxBandwidth }),
    };
  }

  /** Describes the guest, starts its counterpart and sets both ends up. */
  async prepare(mode: Mode, maxBandwidth?: number): Promise<PreparedTrial> {
    const source = await this.openSource();
    const { mode: _mode, tls: _tls, ...rest } = this.stream(mode);
    const { description, checks } = await source.inspect({ mode, ...rest }, this.signal);
    assert.deepEqual(refusals(checks), []);
    const destination = await this.openDestination();
    const travelled = JSON.parse(JSON.stringify(description)) as GuestDescription;
    const setup = this.setup(mode, 'destination');
    const started = await destination.start(travelled, setup, new Map(), this.signal);
    await source.configure(this.setup(mode, 'source', maxBandwidth), this.signal);
    const memoryAddress = await this.routed(started.memoryAddress);
    return { source, destination, description: travelled, started, memoryAddress };
  }

  async routed(address: string): Promise<string> {
    return (await this.place.route?.(address)) ?? address;
  }

  /** Resolves when that side has said so, also earlier. */
  async heard(side: 'source' | 'destination', type: HypervisorEvent['type']): Promise<void> {
    await withDeadline(`${type} at the ${side}`, WAIT_MS, this.signal, async () => {
      while (!this.said.some((each) => each.side === side && each.event.type === type)) {
        await new Promise<void>((wake) => this.#waiting.add(wake));
      }
    });
  }

  async runsAt(): Promise<string[]> {
    const sides = ['source', 'destination'] as const;
    const sessions = this.#sessions.slice(0, sides.length);
    const states = await Promise.all(sessions.map((session) => session.status(this.signal)));
    return sides.filter((_, index) => states[index]?.run === 'running');
  }

  async dispose(): Promise<void> {
    try {
      await this.destination?.destroy(AbortSignal.timeout(10_000));
    } finally {
      for (const session of this.#sessions) await session.close();
      this.#end.abort();
      await this.place.dispose();
    }
  }
}

export interface PreparedTrial {
  readonly source: SourceSession;
  readonly destination: DestinationSession;
  readonly description: GuestDescription;
  /** What start answered. */
  readonly started: DestinationStart;
  /** Where the source sends to. */
  readonly memoryAddress: string;
}

export function refusals(checks: readonly { verdict: string; evidence: string }[]): string[] {
  return checks.filter(({ verdict }) => verdict === 'refuse').map(({ evidence }) => evidence);
}
