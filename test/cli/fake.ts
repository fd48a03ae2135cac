import path from 'node:path';
import type { TestContext } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import type { ConnectionFlags, Context, InterruptSignal, Output } from '../../src/cli/context.ts';
import type { AgentApi, Endpoint, AgentSet } from '../../src/cli/connection/agent-set.ts';
import { runCommandLine } from '../../src/cli/frame.ts';
import { TABLE } from '../../src/cli/table.ts';
import type { Verb, VerbGroup } from '../../src/cli/verb.ts';
import type { GuestInfo, HostEntry } from '../../src/protocol/public/hosts/host.ts';
import type { MigrationSummary, Progress, Report } from '../../src/protocol/public/migration.ts';

export class FakeOutput implements Output {
  text = '';
  isTerminal = false;
  width = 80;

  write(text: string): void {
    this.text += text;
  }
  columns(): number {
    return this.width;
  }
  rows(): number {
    return 24;
  }
}

/** A context whose agents, time and Ctrl-C are in the test's hand. */
export class FakeContext implements Context {
  readonly out = new FakeOutput();
  readonly err = new FakeOutput();
  readonly env: Record<string, string | undefined> = {};
  closed = 0;
  interrupt: (signal?: InterruptSignal) => void = () => {};
  /** What the person at the terminal types; undefined: there is none. */
  answers: string[] | undefined;
  /** What comes on standard input; undefined: nothing ever does. */
  input: string | undefined;
  resize: () => void = () => {};
  #nowMs = 0;
  readonly #endpoints: readonly Endpoint[];

  constructor(...endpoints: Endpoint[]) {
    this.#endpoints = endpoints;
  }

  readonly clock = {
    wallMs: (): number => this.#nowMs,
    monotonicMs: (): number => this.#nowMs,
    sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
      signal?.throwIfAborted();
      this.#nowMs += ms;
    },
  };

  async connect(_flags?: ConnectionFlags): Promise<AgentSet> {
    const [first, ...others] = this.#endpoints;
    if (first === undefined) {
      throw godwitError('GODWIT_UNREACHABLE', {
        peer: 'an agent',
        address: 'here',
        reason: 'none',
      });
    }
    return { endpoints: [first, ...others], close: () => void (this.closed += 1) };
  }

  get readLine(): ((signal: AbortSignal) => Promise<string | undefined>) | undefined {
    const { answers } = this;
    if (answers === undefined) return undefined;
    return (signal) => {
      const next = answers.shift();
      if (next !== undefined) return Promise.resolve(next);
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined)));
    };
  }

  firstLine = (most: number): Promise<string | undefined> =>
    Promise.resolve(this.input?.slice(0, most).split('\n', 1)[0]);

  onInterrupt(listener: (signal: InterruptSignal) => void): () => void {
    this.interrupt = (signal = 'SIGINT') => listener(signal);
    return () => void (this.interrupt = () => {});
  }

  onResize(listener: () => void): () => void {
    this.resize = listener;
    return () => void (this.resize = () => {});
  }
}

/** Runs a command line as the program does; resolves to its exit code. */
export function godwit(
  context: Context,
  line: string,
  table: readonly (Verb | VerbGroup)[] = TABLE,
): Promise<number> {
  return runCommandLine(
    line.split(' ').filter((word) => word !== ''),
    table,
    context,
  );
}

/** The flags of the certificate in a folder, as `godwit pki issue` makes it. */
export function certificatesOf(folder: string, role = 'operator') {
  return {
    ca: path.join(folder, 'ca.crt'),
    cert: path.join(folder, `${role}.crt`),
    key: path.join(folder, `${role}.key`),
  };
}

/** An agent that knows these calls only; any other fails the test by its name. */
export function endpoint(label: string, api: Partial<AgentApi>): Endpoint {
  const known = new Proxy(api, {
    get(target, name) {
      const call = target[name as keyof AgentApi];
      if (call === undefined) throw new Error(`the test's agent ${label} has no ${String(name)}`);
      return call;
    },
  });
  return { label, api: known as AgentApi };
}

export function guest(name: string, host: string, more: Partial<GuestInfo> = {}): GuestInfo {
  return {
    name,
    host,
    driver: 'qemu',
    state: 'running',
    memoryBytes: 512 * 1024 * 1024,
    vcpus: 1,
    machineType: 'pc-q35-7.2',
    hypervisorVersion: '7.2.22',
    accelerator: 'kvm',
    nics: [],
    devices: [],
    unmovable: [],
    ...more,
  };
}

export function host(name: string, more: Partial<HostEntry> = {}): HostEntry {
  return { name, address: `10.77.0.1:7443`, self: false, status: 'up', ...more };
}

export const ID = 'm-0123456789ab';

export function progress(phase: Progress['phase'], more: Partial<Progress> = {}): Progress {
  return {
    id: ID,
    guest: 'web1',
    from: 'a',
    to: 'b',
    mode: 'precopy',
    phase,
    elapsedMs: 0,
    percent: 0,
    ...more,
  };
}

export function sample(
  round: number,
  more: Partial<NonNullable<Progress['sample']>> = {},
): NonNullable<Progress['sample']> {
  return {
    totalBytes: 512 * 1024 * 1024,
    remainingBytes: 200 * 1024 * 1024,
    transferredBytes: 312 * 1024 * 1024,
    skippedBytes: 0,
    rate: 118 * 1024 * 1024,
    dirtyRate: 20 * 1024 * 1024,
    round,
    totalMs: 0,
    pageRequests: 0,
    ...more,
  };
}

export function summary(more: Partial<MigrationSummary> = {}): MigrationSummary {
  return {
    ...progress('memory'),
    side: 'source',
    startedAt: '2026-01-02T03:04:05.000Z',
    moverAlive: true,
    ...more,
  };
}

export function report(more: Partial<Report> = {}): Report {
  return {
    id: ID,
    guest: 'web1',
    from: 'a',
    to: 'b',
    outcome: 'done',
    phase: 'done',
    mode: 'precopy',
    finished: 'precopy',
    settings: {
      mode: 'precopy',
      maxDowntimeMs: 100,
      streams: 1,
      compress: 'none',
      timeoutMs: 600_000,
      hybridRounds: 3,
      onLost: 'hold',
    },
    startedAt: '2026-01-02T03:04:05.000Z',
    endedAt: '2026-01-02T03:04:10.000Z',
    totalMs: 5000,
    downtimeMs: 42,
    blackoutMs: 48,
    bytes: 600 * 1024 * 1024,
    rounds: 3,
    throughput: 118 * 1024 * 1024,
    memoryBytes: 512 * 1024 * 1024,
    pageRequests: 0,
    roundList: [1, 2, 3].map((round) => ({
      round,
      atMs: round * 1000,
      transferredBytes: round * 200 * 1024 * 1024,
      remainingBytes: Math.round(100 / round) * 1024 * 1024,
      rate: 118 * 1024 * 1024,
      dirtyRate: 20 * 1024 * 1024,
    })),
    phases: [
      { phase: 'checking', ms: 120 },
      { phase: 'preparing', ms: 480 },
      { phase: 'memory', ms: 4300 },
      { phase: 'switchover', ms: 48 },
      { phase: 'cleanup', ms: 52 },
    ],
    checks: [
      { name: 'machine', side: 'destination', verdict: 'pass', evidence: 'pc-q35-7.2 is known' },
    ],
    decisions: [{ atMs: 4200, what: 'converges: 20 MiB left, 118 MiB/s' }],
    takeovers: 0,
    runsAt: 'destination',
    ...more,
  };
}

/** Compares `text` with the one in the snapshot file, which keeps its lines readable. */
export function likeBefore(t: TestContext, text: string): void {
  t.assert.snapshot(text, { serializers: [(value: unknown) => String(value)] });
}
