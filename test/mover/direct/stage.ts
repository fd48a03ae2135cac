import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { parseAgentConfig, type AgentConfig } from '../../../src/config.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { Durability } from '../../../src/migration/durability.ts';
import { reportOf } from '../../../src/migration/report/report.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import {
  openDestination,
  type RunningDestination,
} from '../../../src/mover/direct/destination/main.ts';
import { Journal, readJournals } from '../../../src/host/journal/journal.ts';
import { openSource, type RunningSource } from '../../../src/mover/direct/source/main.ts';
import { surroundingsOf, type Surroundings } from '../../../src/mover/shared/surroundings.ts';
import {
  report,
  type MigrationSettings,
  type Mode,
  type Report,
} from '../../../src/protocol/public/migration.ts';
import type { SourceMoverRequest } from '../../../src/protocol/mover/request.ts';
import type { Admission } from '../../../src/protocol/peer/migration.ts';
import { WIRE_VERSION, type WireOffer } from '../../../src/protocol/wire.ts';
import type { Listening } from '../../../src/rpc/listen.ts';
import type { Credentials } from '../../../src/rpc/tls.ts';
import './idle-machine.ts';
import { FakeWires } from './fake-wires.ts';
import { serveAgent } from './fake-peers.ts';
import { layPki, type Hosts } from './lay-host.ts';
import { TwoHosts, type Life, type Traits } from './two-hosts.ts';

const ID = 'm-00000001';
const CREATED_AT = '2026-01-01T00:00:00.000Z';

async function end({
  running,
  life,
}: {
  readonly running: RunningDestination;
  readonly life: Life;
}): Promise<void> {
  life.dead = true;
  await Promise.all([running.listening?.close(), running.mover.close()]);
}

/** What is asked of the migration beside the usual. */
type StageSettings = Partial<
  Pick<
    MigrationSettings,
    'path' | 'maxBandwidth' | 'linkGraceMs' | 'streams' | 'compress' | 'compressLevel'
  >
>;

/** Both movers of one migration in this process, over real TLS, with real journals, on hypervisors of TwoHosts. */
export class Stage {
  readonly hosts: TwoHosts;
  readonly wires: FakeWires;
  readonly #asked: StageSettings;
  /** What the destination's agent says of the wire. */
  offer: WireOffer | undefined = { version: WIRE_VERSION, cores: 2, knowsGuest: false };
  readonly #dir: string;
  readonly #lives: Life[] = [];
  #agent: Listening | undefined;
  #source: RunningSource | undefined;
  #destination: { readonly running: RunningDestination; readonly life: Life } | undefined;
  #opening: Promise<{ readonly running: RunningDestination; readonly life: Life }> | undefined;
  #admission: Admission | undefined;
  #closing: Promise<unknown> = Promise.resolve();

  private constructor(hosts: TwoHosts, asked: StageSettings) {
    this.hosts = hosts;
    this.#asked = asked;
    this.wires = new FakeWires(hosts.world);
    this.#dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  }

  static async open(
    t: TestContext,
    certificates: Hosts,
    mode: Mode = 'precopy',
    traits: Traits = {},
    asked: StageSettings = {},
  ): Promise<Stage> {
    const stage = new Stage(await TwoHosts.boot(mode, traits), asked);
    t.after(() => stage.close());
    for (const host of ['a', 'b'] as const) stage.#lay(host, certificates[host]);
    stage.#agent = await serveAgent(certificates.b, {
      admit: async ({ body }) => {
        stage.#admission = body;
        const wire = stage.offer === undefined ? {} : { wire: stage.offer };
        return { ...(await stage.#whereIsMover()), ...wire };
      },
      incoming: async () => {
        if (stage.#admission === undefined) {
          throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id: ID, host: 'b' });
        }
        return stage.#whereIsMover();
      },
    });
    return stage;
  }

  #lay(host: 'a' | 'b', credentials: Credentials): void {
    layPki(path.join(this.#dir, host), credentials);
    mkdirSync(this.migrationDir(host), { recursive: true });
  }

  migrationDir(host: 'a' | 'b'): string {
    return path.join(this.#dir, host, 'migrations', ID);
  }

  #surroundings(host: 'a' | 'b'): Surroundings {
    return { ...surroundingsOf(this.#config(host), silentLog), wire: this.wires };
  }

  #config(host: 'a' | 'b'): AgentConfig {
    const stateDir = path.join(this.#dir, host);
    const peers = { [host === 'a' ? 'b' : 'a']: { address: '127.0.0.1:7001' } };
    const config = { name: host, address: '127.0.0.1:7001', stateDir, peers };
    return parseAgentConfig('agent.json', JSON.stringify(config));
  }

  async #whereIsMover(): Promise<{ moverAddress: string; version: number }> {
    // Two may ask at once, and there is one mover, as with a real agent.
    const opening = (this.#opening ??= this.#openDestination());
    const found = await opening;
    if (this.#opening === opening) this.#destination = found;
    return { moverAddress: found.running.listening?.address ?? '', version: 1 };
  }

  async #openDestination(): Promise<{ running: RunningDestination; life: Life }> {
    const admission = this.#admission;
    if (admission === undefined) throw new Error('nothing was admitted');
    const life = this.#live(true);
    const common = {
      version: 1,
      id: ID,
      fromHost: 'a',
      toHost: 'b',
      createdAt: CREATED_AT,
    } as const;
    const peer = { name: 'a', address: '127.0.0.1:7001' };
    const running = await openDestination(
      this.migrationDir('b'),
      this.#config('b'),
      { ...common, side: 'destination', peer, admission },
      this.hosts.driver('b', life),
      this.#surroundings('b'),
    );
    return { running, life };
  }

  #live(silent: boolean): Life {
    const life: Life = { dead: false, silent };
    this.#lives.push(life);
    return life;
  }

  get destination(): RunningDestination | undefined {
    return this.#destination?.running;
  }

  get source(): RunningSource {
    if (this.#source === undefined) throw new Error('run comes first');
    return this.#source;
  }

  /** Opens a source's mover on what the last one left, and runs it to its end; rejects when it is killed. */
  async run(): Promise<string> {
    const address = this.#agent?.address ?? '';
    const request: SourceMoverRequest = {
      version: 1,
      id: ID,
      fromHost: 'a',
      toHost: 'b',
      createdAt: CREATED_AT,
      side: 'source',
      peer: { name: 'b', address },
      request: {
        guest: 'web1',
        to: 'b',
        mode: this.hosts.mode,
        maxDowntimeMs: 100,
        streams: 1,
        compress: 'none',
        // The request's own time is long ago; what is left of it must not be over.
        timeoutMs: 60_000,
        hybridRounds: 2,
        onLost: 'hold',
        ...this.#asked,
      },
      handle: this.hosts.handle,
      memoryBytes: this.hosts.source.guest.memoryBytes,
    };
    const life = this.#live(false);
    this.#source = openSource(
      this.migrationDir('a'),
      this.#config('a'),
      { ...request, createdAt: new Date().toISOString() },
      this.hosts.driver('a', life),
      this.#surroundings('a'),
    );
    try {
      return await this.#source.run();
    } finally {
      life.dead = true;
    }
  }

  /** The destination's mover dies; its agent starts another when it is asked where it is. */
  killDestination(): void {
    const opening = this.#opening;
    if (this.#destination !== undefined) this.#destination.life.dead = true;
    this.#opening = undefined;
    this.#destination = undefined;
    this.#closing = Promise.all([this.#closing, opening?.then(end)]);
  }

  get events(): SourceEvent[] {
    return readJournals(this.migrationDir('a')).source.map(({ event }) => event);
  }

  get report(): Report {
    return report.parse(reportOf(readJournals(this.migrationDir('a')).source, Date.now()));
  }

  async close(): Promise<void> {
    for (const life of this.#lives) life.dead = true;
    this.hosts.close();
    this.killDestination();
    await this.#closing;
    await this.#agent?.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Kills the source's mover around its record number `count`: the record is on the disk or it is not. */
export function killSourceAt(t: TestContext, count: number, when: 'before' | 'after'): void {
  let appended = 0;
  let dead = false;
  const mock = t.mock.method(
    Journal.prototype,
    'append',
    async function mortal(
      this: Journal<SourceEvent>,
      event: SourceEvent,
      durability: Durability,
    ): Promise<void> {
      const isSource = (event.type as string) !== 'admitted' && !('neverRan' in event);
      if (isSource && when === 'before' && appended === count) dead = true;
      if (isSource && dead) throw new Error('the mover was killed');
      this.write(event);
      await this.settle(durability);
      if (!isSource) return;
      appended += 1;
      if (when === 'after' && appended > count) dead = true;
      if (dead) throw new Error('the mover was killed');
    },
  );
  killing.set(t, () => mock.mock.restore());
}

const killing = new WeakMap<TestContext, () => void>();

export function spareSource(t: TestContext): void {
  killing.get(t)?.();
}
