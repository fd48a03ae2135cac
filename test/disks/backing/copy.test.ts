import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { BackingFileWriter } from '../../../src/disks/backing/file.ts';
import { DATA_CHANNEL } from '../../../src/disks/backing/messages.ts';
import { BackingFileSender, type BackingFileProgress } from '../../../src/disks/backing/send.ts';
import { BackingFileTaker, type TakerDependencies } from '../../../src/disks/backing/take.ts';
import type { Tunnel } from '../../../src/disks/copy/tunnel/open.ts';
import { hasCode } from '../../../src/errors.ts';
import { discard, keep, madeNames } from '../../../src/disks/proof/made-files.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { muxes } from '../copy/tunnel/muxes.ts';
import { tunnels } from '../copy/tunnel/tunnels.ts';
import { untilSo } from '../../until.ts';

const MIB = 2 ** 20;
const never = new AbortController().signal;

/** A sparse file with random bytes at each of these places. */
async function sparse(file: string, bytes: number, at: readonly number[]): Promise<void> {
  const handle = await open(file, 'w');
  await handle.truncate(bytes);
  for (const offset of at) {
    const most = Math.max(0, Math.min(5000, bytes - offset));
    await handle.write(randomBytes(most), 0, most, offset);
  }
  await handle.close();
}

interface World {
  readonly sender: BackingFileSender;
  readonly taker: BackingFileTaker;
  readonly base: { readonly node: string; readonly file: string; readonly bytes: number };
  readonly copy: string;
  readonly made: ReturnType<typeof madeNames>;
  readonly reported: BackingFileProgress[];
  /** Names at the destination. */
  readonly there: () => string[];
}

/** The movers' ends of what lies between them. */
interface Ends {
  readonly source: Pick<Tunnel, 'beside' | 'ended'>;
  readonly target: Pick<Tunnel, 'beside'>;
}

interface Setup {
  readonly bytes?: number;
  readonly at?: readonly number[];
  readonly sha256?: string;
  readonly begin?: NonNullable<TakerDependencies['begin']>;
}

/** A backing file here, nothing there, and the movers' ends between. */
async function world(t: TestContext, { source, target }: Ends, given: Setup = {}): Promise<World> {
  const [here, destination] = [tempDir(t), tempDir(t)];
  const file = path.join(here, 'base.img');
  const { bytes = 3 * MIB, at = [0, 70_000, 2 * MIB], begin } = given;
  await sparse(file, bytes, at);
  const sha256 = given.sha256 ?? createHash('sha256').update(readFileSync(file)).digest('hex');
  const copy = path.join(destination, 'base.img');
  const made = madeNames(copy, 'm-1', 'b0');
  const reported: BackingFileProgress[] = [];
  const parts = {
    host: 'b',
    guest: 'web1',
    peer: 'a',
    backingFiles: [{ node: 'base', bytes, sha256, made }],
  };
  const taker = new BackingFileTaker({ ...parts, beside: target.beside, ...(begin && { begin }) });
  const progress = (each: BackingFileProgress): void => void reported.push(each);
  const sender = new BackingFileSender({ tunnel: source, guest: 'web1', peer: 'b', progress });
  const there = (): string[] => readdirSync(destination);
  return { sender, taker, base: { node: 'base', file, bytes }, copy, made, reported, there };
}

/** The same without a network. */
async function local(t: TestContext, given: Setup = {}) {
  const { source, target, near, far } = await muxes(t);
  const ends = {
    source: { beside: source, ended: near.ended },
    target: { beside: target },
  };
  return { near, far, ...(await world(t, ends, given)) };
}

describe('a backing file', () => {
  test('a backing file arrives whole and thin, and gets its name only then', async (t) => {
    const { sender, taker, base, copy, made, reported, there } = await local(t, {
      bytes: 64 * MIB + 100,
    });
    await Promise.all([sender.send(base, never), taker.whole]);
    assert.ok(readFileSync(copy).equals(readFileSync(base.file)));
    assert.ok(statSync(copy).blocks * 512 < MIB);
    assert.equal(statSync(copy).mode & 0o777, 0o400);
    assert.ok((reported.at(-1)?.sentBytes ?? 0) < MIB);
    assert.equal(reported.at(-1)?.doneBytes, base.bytes);
    await keep(made);
    assert.deepEqual(there(), ['base.img']);
  });

  test('a backing file of any size with any holes arrives unchanged', async (t) => {
    const place = fc.nat(700_000);
    await fc.assert(
      fc.asyncProperty(fc.nat(700_000), fc.array(place, { maxLength: 6 }), async (bytes, at) => {
        const inside = at.filter((each) => each < bytes);
        const { sender, taker, base, copy } = await local(t, { bytes, at: inside });
        await Promise.all([sender.send(base, never), taker.whole]);
        assert.ok(readFileSync(copy).equals(readFileSync(base.file)));
      }),
      { numRuns: 25 },
    );
  });

  test('a backing file outlives cuts of the link', async (t) => {
    const ends = await tunnels(t);
    const at = Array.from({ length: 400 }, (_, index) => index * 20_000);
    const { sender, taker, base, copy, reported } = await world(t, ends, { bytes: 8 * MIB, at });
    const sending = sender.send(base, never);
    for (const share of [0.2, 0.6]) {
      await untilSo(() => (reported.at(-1)?.doneBytes ?? 0) >= share * base.bytes);
      ends.proxy.cut();
    }
    await Promise.all([sending, taker.whole]);
    assert.ok(readFileSync(copy).equals(readFileSync(base.file)));
  });

  test('a backing file with wrong content gets no name, and nothing of it stays', async (t) => {
    const { sender, taker, base, there } = await local(t, { sha256: 'ab'.repeat(32) });
    const wrong = (error: unknown): boolean =>
      hasCode(error, 'GODWIT_DISK_FAILED') && /sha256/.test(error.message);
    await Promise.all([
      assert.rejects(sender.send(base, never), wrong),
      assert.rejects(taker.whole, wrong),
    ]);
    assert.deepEqual(there(), []);
  });

  test('a backing file never replaces an existing file', async (t) => {
    const { sender, base, copy, there } = await local(t);
    writeFileSync(copy, 'somebody else’s');
    const sending = sender.send(base, never);
    await assert.rejects(sending, (error) => hasCode(error, 'GODWIT_DISK_PLACE'));
    assert.equal(readFileSync(copy, 'utf8'), 'somebody else’s');
    assert.deepEqual(there(), ['base.img']);
  });

  test('a backing file does not replace one that appeared while it was sent', async (t) => {
    const { sender, base, copy, there } = await local(t, {
      begin: async (target) => {
        const file = await BackingFileWriter.begin(target);
        writeFileSync(target.made.file, 'somebody else’s');
        return file;
      },
    });
    const sending = sender.send(base, never);
    await assert.rejects(sending, (error) => hasCode(error, 'GODWIT_DISK_PLACE'));
    assert.equal(readFileSync(copy, 'utf8'), 'somebody else’s');
    assert.deepEqual(there(), ['base.img']);
  });

  test('a full disk is reported on both sides, and the used room is freed', async (t) => {
    const { sender, taker, base, there } = await local(t, {
      begin: async (target) => {
        const file = await BackingFileWriter.begin(target);
        const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        return {
          target,
          write: (offset, bytes) => (offset > 0 ? Promise.reject(full) : file.write(offset, bytes)),
          finish: () => file.finish(),
          drop: () => file.drop(),
        };
      },
    });
    const full = (error: unknown): boolean =>
      hasCode(error, 'GODWIT_DISK_SPACE') &&
      /^b does not have enough space .* base of web1/.test(error.message);
    await Promise.all([
      assert.rejects(sender.send(base, never), full),
      assert.rejects(taker.whole, full),
    ]);
    assert.deepEqual(there(), []);
  });

  test('a cancelled backing file leaves nothing, and can be sent again', async (t) => {
    const stop = new AbortController();
    const { sender, taker, base, copy, reported, there } = await local(t, {
      bytes: 8 * MIB,
      at: Array.from({ length: 400 }, (_, index) => index * 20_000),
    });
    const sending = sender.send(base, stop.signal);
    await untilSo(() => reported.length > 3);
    stop.abort(new Error('cancelled by an operator'));
    await assert.rejects(sending, /cancelled by an operator/);
    await untilSo(() => there().length === 0);
    await Promise.all([sender.send(base, never), taker.whole]);
    assert.ok(readFileSync(copy).equals(readFileSync(base.file)));
  });

  test('a backing file that an earlier mover completed is not sent again', async (t) => {
    const { sender, taker, base, reported } = await local(t);
    await sender.send(base, never);
    const before = reported.length;
    await Promise.all([sender.send(base, never), taker.whole]);
    assert.equal(reported.length, before);
  });

  test('a backing file that an earlier mover began is sent from the start', async (t) => {
    const { sender, base, copy, made } = await local(t);
    writeFileSync(made.temporary, 'half of it');
    await sender.send(base, never);
    assert.ok(readFileSync(copy).equals(readFileSync(base.file)));
    await discard(made);
    assert.equal(existsSync(copy), false);
  });

  test('a backing file that changes or disappears at the source is not sent', async (t) => {
    const { sender, base } = await local(t);
    const gone = { ...base, file: `${base.file}.gone` };
    const failed = (error: unknown): boolean => hasCode(error, 'GODWIT_DISK_FAILED');
    await assert.rejects(sender.send(gone, never), failed);
    // Another file of that size, by a link in the place of the image or of its directory.
    const away = `${path.dirname(base.file)}.link`;
    symlinkSync(path.dirname(base.file), away);
    t.after(() => rmSync(away));
    symlinkSync(base.file, `${base.file}.link`);
    for (const file of [`${base.file}.link`, path.join(away, path.basename(base.file))]) {
      await assert.rejects(sender.send({ ...base, file }, never), failed);
    }
    appendFileSync(base.file, 'more');
    await assert.rejects(sender.send(base, never), failed);
  });

  test('a backing file is given up on both sides if the session ends', async (t) => {
    const { sender, taker, base, near, reported, there } = await local(t, {
      bytes: 8 * MIB,
      at: Array.from({ length: 400 }, (_, index) => index * 20_000),
    });
    const sending = sender.send(base, never);
    await untilSo(() => reported.length > 3);
    near.abort(new Error('the link is gone'));
    await assert.rejects(sending, /the link is gone/);
    await taker.stop(new Error('the link is gone'));
    assert.deepEqual(there(), []);
    await assert.rejects(taker.whole, /the link is gone/);
    await assert.rejects(sender.send(base, never), /the link is gone/);
  });
});

describe('a destination', () => {
  for (const [what, messages] of [
    ['data of no image', [[2, 0, 0, 0, 0, 0, 0, 1]]],
    ['an image that nobody agreed on', [[1, 0, 0, 0, 1, 120]]],
    [
      'bytes beyond the image’s end',
      [
        [1, 0, 0, 0, 1, 98, 97, 115, 101],
        [2, 0, 255, 0, 0, 0, 0, 1],
      ],
    ],
    ['nothing at all', [[]]],
  ] as const) {
    test(`the session ends at ${what}, and the destination keeps nothing`, async (t) => {
      const { near, far, there } = await local(t);
      for (const each of messages) await near.send(DATA_CHANNEL, Uint8Array.from(each));
      await assert.rejects(far.ended, (error) => hasCode(error, 'GODWIT_PROTOCOL_INVALID'));
      assert.deepEqual(there(), []);
    });
  }
});
