import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import { godwitError } from '../../../../src/errors.ts';
import { openPools } from '../../../../src/disks/proof/pools.ts';
import { openDestinationJournal } from '../../../../src/host/journal/journal.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  initialDestination,
  type DestinationEvent,
} from '../../../../src/migration/direct/destination/destination.ts';
import { replayDestination } from '../../../../src/migration/direct/journal.ts';
import type { DestinationContext } from '../../../../src/mover/direct/destination/destination-context.ts';
import { openPlaceIds } from '../../../../src/mover/direct/destination/disks/place-ids.ts';
import { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import {
  actOnSilence,
  askOnReturn,
  endWithSource,
} from '../../../../src/mover/direct/destination/silent-source.ts';
import type { DestinationOptions, DirectDriver } from '../../../../src/port/direct.ts';
import type { Preparation } from '../../../../src/protocol/peer/migration.ts';
import type { SideView } from '../../../../src/protocol/public/resolve.ts';
import { LIFECYCLE } from '../../../../src/mover/direct/source/lifecycle.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';
import { TwoHosts } from '../two-hosts.ts';

/** What becomes of the disks of a guest at a destination where it ran: the real mover, journal and images. */

const EPOCH = 5;
const LEASE_MS = 20_000;
const never = new AbortController().signal;
const WRITTEN = 'what the guest wrote at b';
type View = Pick<SideView, 'phase' | 'right' | 'neverRanThere'>;

class Destination {
  readonly #hosts: TwoHosts;
  readonly #dir: string;
  readonly #store: string;
  /** What the source's agent answers; undefined: it is dark. */
  source: View | undefined;
  mover!: DestinationMover;

  constructor(hosts: TwoHosts, dir: string) {
    this.#hosts = hosts;
    this.#dir = dir;
    this.#store = path.join(dir, 'vms');
  }

  static async boot(t: TestContext): Promise<Destination> {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-written-'));
    mkdirSync(path.join(dir, 'vms'));
    const hosts = await TwoHosts.boot('precopy');
    const destination = new Destination(hosts, dir);
    t.after(async () => {
      await destination.mover.close();
      hosts.close();
      rmSync(dir, { recursive: true });
    });
    const { memoryBytes } = hosts.source.guest;
    const admission = admissionOf({ memoryBytes, epoch: EPOCH });
    await destination.#open([{ type: 'admitted', admission, host: 'b' }], 'boot-1');
    return destination;
  }

  /** A mover that finds what the journal has, with `more` written to it. */
  async #open(more: readonly DestinationEvent[], bootId: string): Promise<void> {
    const { journal, events } = openDestinationJournal(this.#dir, systemClock);
    for (const event of more) await journal.append(event, 'sync');
    const all = [...events, ...more];
    const [first] = all;
    assert.ok(first?.type === 'admitted');
    const view = (): SideView | undefined =>
      this.source && ({ host: 'a', id: 'm-1', epoch: EPOCH, ...this.source } as SideView);
    const context = {
      dir: this.#dir,
      placeIds: openPlaceIds(this.#dir),
      config: this.#config(),
      driver: this.#driver(),
      bootTime: () => ({ bootId, uptimeMs: 1 }),
      journal,
      clock: systemClock,
      log: silentLog,
      fleet: { names: () => [], ask: async () => new Map() },
      since: '2026-11-24T10:00:00Z',
      others: {
        askSource: async () => ({ isDark: view() === undefined, view: view() }),
      },
    } as unknown as DestinationContext;
    const state = replayDestination(all) ?? initialDestination(first);
    this.mover = new DestinationMover(context, state);
    await this.mover.start(all.length > 1, false);
  }

  #config() {
    const storage = [{ path: this.#store }];
    const own = { name: 'b', address: '127.0.0.1:7001', stateDir: this.#dir, storage };
    return parseAgentConfig('agent.json', JSON.stringify(own));
  }

  #driver(): DirectDriver {
    const driver = this.#hosts.driver('b', { dead: false, silent: false });
    const disks = {
      create: async (_: unknown, images: readonly { file: string }[]) => {
        for (const { file } of images) writeFileSync(file, '', { flag: 'wx' });
      },
      end: async () => undefined,
    };
    const openDestination = async (options: DestinationOptions) =>
      new Proxy(await driver.openDestination(options), {
        get: (session, key): unknown => (key === 'disks' ? disks : Reflect.get(session, key)),
      });
    return { ...driver, openDestination };
  }

  async arm(): Promise<void> {
    const [pool] = await openPools(this.#config().storage);
    const { memoryBytes } = this.#hosts.source.guest;
    const images = [{ node: 'vda0', format: 'raw', bytes: 1024, readOnly: false }];
    const place = openPlaceIds(this.#dir).made(pool?.id ?? '', 'web1.raw');
    const preparation = {
      epoch: EPOCH,
      description: {
        driver: 'fake',
        name: 'web1',
        memoryBytes,
        vcpus: 1,
        hypervisorVersion: '1.0.0',
        spec: { machine: 'fake-1', dirtyRate: 1, nics: [] },
        disks: [{ name: 'vda', images }],
      },
      copies: [{ node: 'vda0', pool: place, path: 'web1.raw' }],
      stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    } as unknown as Preparation;
    await this.mover.prepare(preparation, never);
    await this.mover.arm(EPOCH);
  }

  /** It runs here and writes to its disk. */
  async run(): Promise<void> {
    await this.arm();
    const { source, destination } = this.#hosts;
    assert.ok(destination !== undefined);
    source.run = 'handed-over';
    destination.run = 'paused';
    await this.mover.commit(EPOCH, never);
    writeFileSync(this.#image, WRITTEN);
  }

  /** Its hypervisor ends; `ended`: by the guest itself, as its hypervisor says. */
  async end(): Promise<void> {
    const { world, destination } = this.#hosts;
    assert.ok(destination !== undefined);
    world.kill(destination);
    await this.mover.status();
    assert.equal(this.mover.state.hypervisor, 'gone');
  }

  /** The host loses its power, and with it the records from `lost` on. */
  async reboot(lost: DestinationEvent['type'], neverRan: boolean): Promise<void> {
    const { world, destination } = this.#hosts;
    await this.mover.close();
    if (destination !== undefined) world.kill(destination);
    const name = readdirSync(this.#dir).find((file) => /destination.*\.jsonl$/.test(file));
    assert.ok(name !== undefined);
    const file = path.join(this.#dir, name);
    const lines = readFileSync(file, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes(`"type":"${lost}"`));
    if (at >= 0) writeFileSync(file, `${lines.slice(0, at).join('\n')}\n`);
    await this.#open([{ type: 'taken-over', pid: 1, neverRan }], 'boot-2');
  }

  get #image(): string {
    return path.join(this.#store, 'web1.raw');
  }

  get files(): string[] {
    return readdirSync(this.#store);
  }

  written(name = 'web1.raw'): string | undefined {
    const file = path.join(this.#store, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }
}

const silent = (destination: Destination): Promise<void> =>
  destination.mover.decide((hands) => actOnSilence(hands, LEASE_MS));

test('a guest that ran and ended at a destination whose source is silent for good keeps its disks', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.end();
  await silent(b);
  assert.equal(b.mover.state.stage, 'finished');
  assert.deepEqual(b.files, ['web1.raw']);
  assert.equal(b.written(), WRITTEN);
});

test('a guest that its source calls lost keeps the disks that it wrote at its destination', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.end();
  b.source = { phase: 'lost', right: 'passed' };
  await b.mover.decide(endWithSource);
  assert.equal(b.mover.state.stage, 'finished');
  assert.equal(b.written(), WRITTEN);
});

test('a guest that ran keeps its disks when its host reboots and its source is dark', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.reboot('finished', false);
  await silent(b);
  assert.equal(b.mover.state.stage, 'finished');
  assert.equal(b.written(), WRITTEN);
});

test('a destination that forgot the commit is told by its source that the guest ran, and keeps its disks', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.reboot('committed', false);
  assert.equal(b.mover.state.unsure, true);
  b.source = { phase: 'done', right: 'passed' };
  await b.mover.decide(askOnReturn);
  assert.equal(b.mover.state.right, 'running');
  await silent(b);
  await silent(b);
  assert.equal(b.mover.state.stage, 'finished');
  assert.equal(b.written(), WRITTEN);
});

test('a destination that forgot the commit sets the disks aside if its source has the guest', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.reboot('committed', false);
  b.source = { phase: 'failed', right: 'abandoned' };
  await b.mover.decide(askOnReturn);
  assert.equal(b.mover.state.stage, 'released');
  const [aside = ''] = b.files;
  assert.match(aside, /^web1\.raw\.moved-m-/);
  assert.equal(b.written(aside), WRITTEN);
});

test('a destination that was restarted before any commit removes the copies if its source sent no commit', async (t) => {
  const b = await Destination.boot(t);
  await b.arm();
  await b.reboot('committed', false);
  b.source = { phase: 'failed', right: 'abandoned', neverRanThere: true };
  await b.mover.decide(askOnReturn);
  assert.equal(b.mover.state.stage, 'released');
  assert.deepEqual(b.files, []);
});

test('a source that releases an armed destination removes the copies', async (t) => {
  const b = await Destination.boot(t);
  await b.arm();
  await b.mover.release(EPOCH, never, { neverRan: true });
  assert.deepEqual(b.files, []);
});

test('a guest that its owner shut down before the migration was over keeps its disks, and the migration is done', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  const { state } = b.mover;
  assert.equal(state.hasRun, true);
  await b.mover.decide(({ record }) =>
    record({
      type: 'hypervisor',
      event: { type: 'lost', reason: 'the guest shut down', ended: 'shut-down' },
    }),
  );
  await b.mover.finish(EPOCH, never);
  assert.equal(b.mover.state.stage, 'finished');
  assert.equal(b.written(), WRITTEN);
});

test('a source calls a guest lost if its destination forgot the run and gave it up, and keeps its own disks', async (t) => {
  const b = await Destination.boot(t);
  await b.run();
  await b.reboot('committed', false);
  await silent(b);
  assert.equal(b.mover.state.stage, 'released');
  const status = await b.mover.status();
  const gone = godwitError('GODWIT_HYPERVISOR_LOST', {
    side: 'source',
    guest: 'web1',
    reason: 'it has handed over',
  });
  const known = { copies: [{ node: 'vda0', pool: 'p', path: 'web1.raw' }] };
  const context = {
    request: { id: 'm-00000001' },
    state: () => ({ plan: { guest: 'web1', to: 'b', epoch: EPOCH }, via: 'precopy', known }),
    hypervisor: { session: () => Promise.reject(gone) },
    network: {
      probes: { end: () => undefined },
      verification: { begin: () => undefined },
      connections: { late: () => [] },
    },
    peer: {
      resume: () => undefined,
      call: (_id: string, _signal: AbortSignal, ask: (api: object) => unknown) =>
        ask({ status: async () => status }),
    },
  } as unknown as StepContext;
  await assert.rejects(async () => LIFECYCLE.verify.do(context, never), {
    code: 'GODWIT_LOST',
    message: /gave it up; it keeps copied disks as NAME\.moved-m-00000001/,
  });
});
