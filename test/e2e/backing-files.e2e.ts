import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startGuest } from '../../lab/guest/start.ts';
import { storageDirectory } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { startBareGuest, type BareGuest } from './support/bare-guest.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { killMover } from './support/movers.ts';
import { assertSays, begin, move, refusalOf, reportAtEnd, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const TOP = 'disk0.qcow2';
const BASE = 'disk0-base.qcow2';

/** How much was sent of backing files, by the source's own count; undefined where it had none to send. */
function sentOf({ checks }: Report): string | undefined {
  const reported = checks.map(
    ({ evidence }) => / (\S+ \S+) sent of a file of /.exec(evidence)?.[1],
  );
  return reported.find((each) => each !== undefined);
}

describe('a guest with a backing file on its host alone', () => {
  let world: World;

  before(async () => {
    world = await openWorld('bases', { hosts: 2, storage: 'local' });
    const disks = [{ bytes: 64 * MIB, thin: true, backed: true }];
    const words = { disks, kernelWords: FEW_PLACES };
    await startGuest(world.lab, { ...SMALL_GUEST, host: 'a', name: 'db1', ...words });
  });
  after(() => world?.close());

  const imagesAt = (host: string): string => path.join(storageDirectory(world.lab, host), 'db1');
  const other = (host: string): string => (host === 'a' ? 'b' : 'a');
  const filesAt = async (host: string): Promise<string[]> =>
    (await readdir(imagesAt(host))).toSorted();

  /** It runs on `host` alone, writes to its disk there, and what it wrote is there. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    assert.deepEqual(await filesAt(host), [BASE, TOP]);
    assert.deepEqual(await writersOf(world.lab, 'db1', path.join(imagesAt(host), TOP)), [host]);
    assert.deepEqual(await writersOf(world.lab, 'db1', path.join(imagesAt(host), BASE)), []);
    await assertWrites(world, 'db1');
    await assertOnlyGuests(world, { [host]: ['db1'] });
  }

  async function moved(request: Partial<Move> = {}): Promise<Report> {
    const [from = ''] = await runningOn(world.lab, 'db1');
    const report = await move(world, { guest: 'db1', from, to: other(from), ...request });
    await whole(other(from));
    // Another guest may use it.
    assert.deepEqual(await filesAt(from), [BASE]);
    return report;
  }

  test('a guest moves with its backing file, which is found by its content on the way back and not sent', async () => {
    const there = await moved();
    assert.match(sentOf(there) ?? '', /^[1-9]/);
    assert.ok(there.phases.some(({ phase }) => phase === 'seeding'));
    const file = (host: string): string => path.join(imagesAt(host), BASE);
    assert.ok((await readFile(file('a'))).equals(await readFile(file('b'))));
    const was = await stat(file('a'));
    const back = await moved();
    assert.equal(sentOf(back), undefined);
    assert.ok(
      back.checks.some(({ evidence }) => /holds the same, and nothing is sent/.test(evidence)),
    );
    const is = await stat(file('a'));
    assert.deepEqual([is.ino, is.mtimeMs, is.nlink], [was.ino, was.mtimeMs, 1]);
  });

  test('a guest is refused if a file of that name has other content, which is not touched', async () => {
    const file = path.join(imagesAt('b'), BASE);
    await rm(file, { force: true });
    await writeFile(file, 'somebody else’s');
    const error = await refusalOf(world, { guest: 'db1', from: 'a', to: 'b' });
    assertSays(error, 'GODWIT_DISK_PLACE', 'b', 'db1', BASE, 'does not hold the same');
    assert.equal(await readFile(file, 'utf8'), 'somebody else’s');
    await rm(file);
    await whole('a');
  });

  describe('with a large backing file and a read-only disk', () => {
    const FILES = ['base.raw', 'only.raw', 'top.qcow2'];
    let big: BareGuest;
    const directory = (host: string): string => path.join(storageDirectory(world.lab, host), 'big');

    before(async () => {
      const [base, only, top] = FILES.map((name) => path.join(directory('a'), name));
      await mkdir(directory('a'));
      await writeFile(base ?? '', randomBytes(8 * MIB));
      await writeFile(only ?? '', randomBytes(MIB));
      const create = 'create -q -f qcow2 -F raw -b'.split(' ');
      await run('qemu-img', [...create, `${base}`, `${top}`]);
      const args = ['-drive', `if=none,id=disk,format=qcow2,file=${top}`];
      args.push('-drive', `if=none,id=only,format=raw,readonly=on,file=${only}`);
      for (const id of ['disk', 'only']) args.push('-device', `virtio-blk-pci,drive=${id}`);
      big = await startBareGuest(world, { name: 'big', host: 'a', args });
    });
    after(async () => {
      await big?.stop();
      await rm(directory('a'), { recursive: true, force: true });
    });

    async function amidSeeding(maxBandwidth: number): Promise<string> {
      const asked = { guest: 'big', from: 'a', to: 'b', maxBandwidth, maxDowntimeMs: 3000 };
      const id = await begin(world, asked);
      await untilSent(id);
      return id;
    }

    async function untilSent(id: string): Promise<void> {
      await until('a part of it to be sent', 20_000, async () => {
        const { phase, disks: [disk] = [] } = await world.agent('a').progress({ params: { id } });
        return phase === 'seeding' && (disk?.copiedBytes ?? 0) > 0 ? true : undefined;
      });
    }

    /** It runs where it was, and the other host is as it was. */
    async function cancelled(id: string): Promise<void> {
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
      assert.equal(await big.status(), 'running');
      assert.deepEqual((await readdir(directory('a'))).toSorted(), FILES);
      const left = await readdir(storageDirectory(world.lab, 'b'));
      assert.ok(!left.includes('big'), left.join());
    }

    test('a guest that is cancelled during the copy leaves nothing there', async () => {
      const id = await amidSeeding(MIB / 2);
      assert.equal((await world.agent('a').cancel({ params: { id } })).accepted, true);
      await cancelled(id);
    });

    test('a guest arrives although both movers are killed during the copy', async () => {
      const id = await amidSeeding(2 * MIB);
      await killMover(world, 'a', id);
      await untilSent(id);
      await killMover(world, 'b', id);
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      assert.equal(report.takeovers, 1);
      assert.deepEqual(await runningOn(world.lab, 'big'), ['b']);
      for (const name of ['base.raw', 'only.raw']) {
        const [was, is] = ['a', 'b'].map((host) => path.join(directory(host), name));
        assert.ok((await readFile(was ?? '')).equals(await readFile(is ?? '')), name);
      }
      assert.deepEqual((await readdir(directory('b'))).toSorted(), FILES);
    });
  });
});
