import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Identifier } from '../../../src/port/disks.ts';
import type { DestinationSession, DirectDriver } from '../../../src/port/direct.ts';
import { silentLog } from '../../../src/log.ts';
import { initialDestination } from '../../../src/migration/direct/destination/destination.ts';
import { replayDestination } from '../../../src/migration/direct/journal.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { DestinationMover } from '../../../src/mover/direct/destination/mover.ts';
import { openPlaceIds } from '../../../src/mover/direct/destination/disks/place-ids.ts';
import { openDestinationJournal, readJournals } from '../../../src/host/journal/journal.ts';
import { SourceBackingFiles } from '../../../src/mover/direct/source/disks/backing-files.ts';
import { preparation } from '../../../src/mover/direct/source/source-base.ts';
import type { Disk, ImagePlace } from '../../../src/protocol/disk.ts';
import type { Seeding } from '../../../src/protocol/peer/migration.ts';
import { openPools } from '../../../src/disks/proof/pools.ts';
import { planned } from '../../migration/direct/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';
import { hostsFor, layHost } from './lay-host.ts';
import { fleetOf } from './fleets.ts';

type Dependencies = ConstructorParameters<typeof SourceBackingFiles>[0];

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

const MIB = 2 ** 20;
const never = new AbortController().signal;
const IMAGE = 'images/base.qcow2';

const images: Identifier = {
  identify: async (file) => {
    const content = readFileSync(file);
    return { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  },
};

/** The movers' parts for backing files, over real sessions; there is no hypervisor at either end. */
async function movers(t: TestContext, settings: { readonly maxBandwidth?: number } = {}) {
  const top = tempDir(t);
  const certificates = await hostsFor(t);
  const a = layHost(top, 'a', certificates.a);
  const b = layHost(top, 'b', certificates.b);
  const plan = planned(settings);
  const storage = { a: path.join(top, 'a-storage'), b: path.join(top, 'b-storage') };
  mkdirSync(path.join(storage.a, 'images'));
  const file = path.join(storage.a, IMAGE);
  writeFileSync(file, randomBytes(MIB));
  truncateSync(file, 8 * MIB);
  const [pool] = await openPools(a.storage);
  const base: ImagePlace = { node: 'base', pool: pool?.id ?? '', path: IMAGE };
  const image = { format: 'qcow2', bytes: 64 * MIB, readOnly: true } as const;
  const top0 = { ...image, node: 'top', readOnly: false };
  const disks: Disk[] = [{ name: 'vda', images: [top0, { ...image, node: 'base' }] }];
  const dir = path.join(b.stateDir, 'm');
  const placeIds = openPlaceIds(dir);
  const [there] = await openPools(b.storage);
  const topPath = 'web1/top.qcow2';
  const topPool = placeIds.made(there?.id ?? '', topPath);
  const copies: ImagePlace[] = [{ node: 'top', pool: topPool, path: topPath }];

  const { id, guest, from, epoch } = plan;
  const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 60_000 };
  const admitted = { type: 'admitted', admission, host: 'b' } as const;
  /** A question while none is there waits for the next one, as a peer's does. */
  let mover: Promise<DestinationMover> | undefined;
  /** The next mover at the destination, on what the last one has journaled. */
  const takeOver = (): Promise<DestinationMover> => (mover = succeed(mover));
  const succeed = async (last: typeof mover): Promise<DestinationMover> => {
    await (await last)?.close();
    const { journal, events } = openDestinationJournal(dir, systemClock);
    if (events.length === 0) await journal.append(admitted, 'sync');
    const session = {
      disks: { images },
      onEvent: () => () => undefined,
      nics: () => [],
      destroy: async () => undefined,
      close: async () => undefined,
    } as unknown as DestinationSession;
    const driver = { openDestination: async () => session } as unknown as DirectDriver;
    const asking = { fleet: fleetOf(), since: '2026-11-24T10:00:00Z', bootTime: () => NOW };
    const common = { placeIds, clock: systemClock, log: silentLog, ...asking };
    const state = replayDestination(events) ?? initialDestination(admitted);
    const next = new DestinationMover({ dir, config: b, driver, journal, ...common }, state);
    await next.start(events.length > 0);
    return next;
  };
  const first = await takeOver();
  t.after(async () => (await mover)?.close());

  const reported: SourceEvent[] = [];
  const ask = {
    bases: async ({ body }: { body: Seeding }, { signal }: { signal: AbortSignal }) =>
      (await mover)?.disks('seed', body.epoch, ({ backingFiles }, hypervisor, ledger) =>
        backingFiles.seed(hypervisor, ledger, body, signal),
      ),
  };
  const description = {
    driver: 'qemu',
    name: guest,
    memoryBytes: 1,
    vcpus: 1,
    hypervisorVersion: '10.0',
    disks,
    spec: {},
  };
  const known = { description, bases: [base], copies };
  const context = {
    config: a,
    timedCap: { saw: async () => undefined },
    dir: path.join(a.stateDir, 'm'),
    request: { id, toHost: 'b', request: { guest } },
    guest: { session: async () => ({ disks: { images } }) },
    peer: {
      moverAddress: 'one',
      resume: () => undefined,
      call: async (_id: string, _signal: AbortSignal, question: (...args: unknown[]) => unknown) =>
        question(ask, (address: string) => address),
    },
    state: () => ({ plan, known }),
    dispatch: (event: SourceEvent) => void reported.push(event),
  } as unknown as Dependencies;
  const seeds = new SourceBackingFiles(context, silentLog);
  const journaled = (): string[] => readJournals(dir).destination.map(({ event }) => event.type);
  return { seeds, context, storage, file, reported, mover: first, takeOver, journaled, epoch };
}

const wordsOf = (facts: Awaited<ReturnType<SourceBackingFiles['seed']>>): string[] =>
  (facts.checks ?? []).map(({ evidence }) => evidence);

const everythingIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true }).map(String).toSorted();

/** Resolves once a part of it has come. */
const begun = (reported: readonly SourceEvent[]): Promise<void> =>
  untilSo(() =>
    reported.some((event) => event.type === 'copied' && (event.disks[0]?.copiedBytes ?? 0) > 0),
  );

describe('a missing backing file', () => {
  test('a backing file that the destination lacks is sent sparsely, and arrives whole and read-only', async (t) => {
    const { seeds, storage, file, reported, journaled } = await movers(t);
    const words = wordsOf(await seeds.seed(never));
    const made = path.join(storage.b, IMAGE);
    assert.ok(readFileSync(made).equals(readFileSync(file)));
    assert.equal(statSync(made).mode & 0o777, 0o400);
    assert.ok(
      words.some((word) => word.includes('1 MiB sent of a file of 8 MiB')),
      words.join(),
    );
    assert.ok(journaled().includes('seeding'));
    const last = reported.findLast((event) => event.type === 'copied');
    assert.equal(last?.type === 'copied' && last.disks[0]?.state, 'whole');
  });

  test('a missing backing file is sent only once, whichever of the movers is replaced', async (t) => {
    const { seeds, context, storage, takeOver } = await movers(t);
    await seeds.seed(never);
    const made = path.join(storage.b, IMAGE);
    const was = statSync(made);
    assert.ok(!wordsOf(await seeds.seed(never)).some((word) => word.includes(' sent of ')));
    await takeOver();
    const words = wordsOf(await new SourceBackingFiles(context, silentLog).seed(never));
    assert.ok(!words.some((word) => word.includes(' sent of ')), words.join());
    assert.equal(statSync(made).ino, was.ino);
  });

  test('a sent backing file is removed with its new directories when the destination is released', async (t) => {
    const { seeds, storage, mover, epoch } = await movers(t);
    await seeds.seed(never);
    await mover.release(epoch, never);
    assert.deepEqual(everythingIn(storage.b), []);
  });

  test('a sent backing file stays with the guest, under a single name', async (t) => {
    const { seeds, storage, mover, epoch } = await movers(t);
    await seeds.seed(never);
    await mover.disks('seed', epoch, ({ backingFiles }) => backingFiles.keep(mover.state));
    assert.deepEqual(everythingIn(storage.b), ['images', IMAGE]);
    assert.equal(statSync(path.join(storage.b, IMAGE)).nlink, 1);
  });

  test('a sent backing file survives the death of a mover during the build, and goes with the release', async (t) => {
    const { seeds, context, storage, mover, takeOver, journaled, epoch } = await movers(t);
    await seeds.seed(never);
    // There is no hypervisor, so nothing can be built.
    await assert.rejects(mover.prepare(preparation(context), never));
    assert.ok(journaled().includes('preparing'));
    const next = await takeOver();
    assert.deepEqual(statSync(path.join(storage.b, IMAGE)).mode & 0o777, 0o400);
    await next.release(epoch, never);
    assert.deepEqual(everythingIn(storage.b), []);
  });

  test('a missing backing file leaves nothing behind when the move is canceled during the transfer', async (t) => {
    const { seeds, context, storage, reported, mover, epoch } = await movers(t, {
      maxBandwidth: MIB / 2,
    });
    const over = new AbortController();
    const seeded = assert.rejects(seeds.seed(over.signal), /by the test/);
    await begun(reported);
    over.abort(new Error('by the test'));
    await seeded;
    await mover.release(epoch, never);
    assert.deepEqual(everythingIn(storage.b), []);
    assert.ok(!existsSync(path.join(context.dir, 'bases.sock')));
  });

  test('a missing backing file is sent again to the next mover if one dies during the transfer', async (t) => {
    const { seeds, storage, file, reported, takeOver } = await movers(t, {
      maxBandwidth: MIB,
    });
    const seeded = seeds.seed(never);
    await begun(reported);
    await takeOver();
    seeds.mind('another');
    await seeded;
    assert.ok(readFileSync(path.join(storage.b, IMAGE)).equals(readFileSync(file)));
  });
});

describe('an existing backing file', () => {
  test('an existing backing file is found by its contents, not sent, and kept after a release', async (t) => {
    const { seeds, storage, file, mover, epoch } = await movers(t);
    mkdirSync(path.join(storage.b, 'golden'));
    const there = path.join(storage.b, 'golden/debian.qcow2');
    writeFileSync(there, readFileSync(file));
    chmodSync(there, 0o444);
    const was = statSync(there);
    const words = wordsOf(await seeds.seed(never));
    assert.ok(
      words.some((word) => word.includes('debian.qcow2 holds the same')),
      words.join(),
    );
    assert.ok(!words.some((word) => word.includes(' sent of ')));
    await mover.release(epoch, never);
    assert.deepEqual(everythingIn(storage.b), ['golden', 'golden/debian.qcow2']);
    assert.deepEqual([statSync(there).mtimeMs, statSync(there).mode], [was.mtimeMs, was.mode]);
  });

  test('an existing backing file with other contents under its name is refused and left unchanged', async (t) => {
    const { seeds, storage, mover, epoch } = await movers(t);
    mkdirSync(path.join(storage.b, 'images'));
    writeFileSync(path.join(storage.b, IMAGE), 'somebody else’s');
    await assert.rejects(seeds.seed(never), (thrown: Error & { code?: string }) => {
      assert.equal(thrown.code, 'GODWIT_DISK_PLACE');
      assert.match(thrown.message, /base\.qcow2 is there already, and does not hold the same/);
      return true;
    });
    await mover.release(epoch, never);
    assert.equal(readFileSync(path.join(storage.b, IMAGE), 'utf8'), 'somebody else’s');
  });
});
