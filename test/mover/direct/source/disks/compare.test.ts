import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { NbdClient } from '../../../../../src/disks/copy/nbd/client.ts';
import type { FrozenImage } from '../../../../../src/port/disks.ts';
import type { SourceEvent } from '../../../../../src/migration/direct/source/source-state.ts';
import { compareDisks } from '../../../../../src/mover/direct/source/disks/compare.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import type { DiskCheck } from '../../../../../src/protocol/disk.ts';
import {
  CHUNK_BYTES,
  PIECE_BYTES,
  type Comparison,
} from '../../../../../src/protocol/peer/disk-check.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { peerOf, waitsFor } from '../answers.ts';

interface Setup {
  readonly verifyDisks?: boolean;
  readonly diskCheck?: DiskCheck;
  /** What reading the images here comes to. */
  readonly frozen?: Error | 'silent';
  readonly isMoved?: boolean;
  readonly copies?: readonly string[];
  /** Of these the other host's image differs in one piece. */
  readonly different?: readonly string[];
  /** The guest has written there since. */
  readonly isRewritten?: boolean;
  readonly fault?: Error;
}

/** A guest that has left, one of whose disks was copied. */
function stage(t: TestContext, given: Setup = {}) {
  const root = tempDir(t);
  const closed: string[] = [];
  // Images of two chunks, each of which holds something.
  t.mock.method(NbdClient, 'open', async (_socket: string, node: string) => ({
    size: 2 * CHUNK_BYTES,
    read: async (_from: number, length: number) => {
      if (given.fault !== undefined) throw given.fault;
      return Buffer.alloc(length, 1);
    },
    close: () => void closed.push(node),
  }));
  const asked: object[] = [];
  const api = {
    disksCompare: async ({ body: { hashes, ...body } }: { body: Comparison }) => {
      asked.push({ ...body, hashes: hashes.length });
      const isDifferent = (given.different ?? []).includes(body.node);
      // The second chunk, and in it the fourth piece.
      const differ = body.unit === CHUNK_BYTES ? [1] : [3];
      return { differ: isDifferent ? differ : [] };
    },
    disksRewritten: async ({ body }: { body: { pieces: number[] } }) => {
      asked.push(body);
      return { rewritten: body.pieces.map(() => given.isRewritten ?? false) };
    },
  };
  const file = path.join(root, 'disk0.qcow2');
  writeFileSync(given.isMoved === true ? `${file}.moved-m-1` : file, '');
  const looked: (readonly FrozenImage[])[] = [];
  const events: SourceEvent[] = [];
  const nodes = given.copies ?? ['disk0'];
  const images = [
    { node: 'disk0', format: 'qcow2' },
    { node: 'base0', format: 'raw' },
  ];
  const known = {
    copies: nodes.map((node) => ({ node })),
    copied: [file],
    below: [[path.join(root, 'base.raw')]],
    description: { disks: [{ name: 'vda', images }] },
    ...(given.diskCheck === undefined ? {} : { diskCheck: given.diskCheck }),
  };
  const settings = { verifyDisks: given.verifyDisks ?? true, timeoutMs: 60_000 };
  const context: unknown = {
    host: { dir: root },
    request: { id: 'm-1' },
    state: () => ({ plan: { epoch: 17, guest: 'web1', to: 'b', settings }, known }),
    dispatch: (event: SourceEvent) => void events.push(event),
    peer: peerOf(api),
    hypervisor: {
      frozen: async (
        all: readonly FrozenImage[],
        _directory: string,
        signal: AbortSignal,
        work: (socket: string, signal: AbortSignal) => Promise<unknown>,
      ) => {
        looked.push(all);
        if (given.frozen instanceof Error) throw given.frozen;
        if (given.frozen === undefined) return work('images.sock', signal);
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      },
    },
  };
  const stop = new AbortController();
  const comparing = (): Promise<DiskCheck | undefined> =>
    compareDisks(context as StepContext, stop.signal);
  return { root, file, looked, events, stop, comparing, asked, closed };
}

describe('comparison of copied disks', () => {
  test('copied disks are compared only if requested, and if any disk was copied', async (t) => {
    for (const given of [{ verifyDisks: false }, { copies: [] }]) {
      const { looked, events, comparing } = stage(t, given);
      assert.equal(await comparing(), undefined);
      assert.deepEqual([looked, events], [[], []]);
    }
  });

  test('copied disks are compared once: a mover that takes over has the earlier result', async (t) => {
    const figures = { comparedBytes: 1, excludedBytes: 0, differentBytes: 0, tookMs: 1 };
    const diskCheck = { verdict: 'different' as const, ...figures };
    const { looked, events, comparing } = stage(t, { diskCheck });
    assert.equal(await comparing(), diskCheck);
    assert.deepEqual([looked, events], [[], []]);
  });

  test('the comparison reads each image at its place, with its format and its backing files', async (t) => {
    const { root, file, looked, events, comparing } = stage(t);
    const check = await comparing();
    assert.equal(check?.verdict, 'equal');
    assert.deepEqual(events, [{ type: 'compared', check }]);
    const below = [{ file: path.join(root, 'base.raw'), format: 'raw' }];
    assert.deepEqual(looked, [[{ node: 'disk0', file, format: 'qcow2', below }]]);
  });

  test('the comparison reads an image that was already set aside under its new name', async (t) => {
    const { file, looked, comparing } = stage(t, { isMoved: true });
    await comparing();
    assert.equal(looked[0]?.[0]?.file, `${file}.moved-m-1`);
  });

  test('a comparison that cannot be made fails nothing, and reports that it was not made', async (t) => {
    const { events, comparing } = stage(t, { frozen: new Error('no program') });
    const check = await comparing();
    assert.deepEqual([check?.verdict, check?.comparedBytes], ['unverified', 0]);
    assert.equal(check?.error?.code, 'GODWIT_DISK_UNVERIFIED');
    assert.match(check.error.message, /no program/);
    assert.deepEqual(events, [{ type: 'compared', check }]);
  });

  test('the comparison takes no longer than the migration may', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { comparing } = stage(t, { frozen: 'silent' });
    const outcome = comparing();
    await waitsFor(t, 60_000, outcome);
    assert.match((await outcome)?.error?.message ?? '', /comparing the disks/);
  });

  test('a comparison is neither made nor given up if its mover ends: the next mover makes it', async (t) => {
    const { events, stop, comparing } = stage(t, { frozen: 'silent' });
    const outcome = comparing();
    stop.abort(new Error('the mover ends'));
    await assert.rejects(outcome, /the mover ends/);
    assert.deepEqual(events, []);
  });

  test('the comparison finds the first differing place that the guest has not written to since', async (t) => {
    const copies = ['disk0', 'disk1', 'disk2'];
    const { asked, closed, comparing } = stage(t, { copies, different: ['disk1', 'disk2'] });
    const check = await comparing();
    const at = CHUNK_BYTES + 3 * PIECE_BYTES;
    assert.equal(check?.verdict, 'different');
    assert.deepEqual(check.first, { node: 'disk1', at });
    assert.deepEqual(
      [check.comparedBytes, check.excludedBytes, check.differentBytes],
      [6 * CHUNK_BYTES - 2 * PIECE_BYTES, 0, 2 * PIECE_BYTES],
    );
    assert.equal(check.error?.code, 'GODWIT_DISK_DIFFERS');
    assert.deepEqual(asked.slice(1, 4), [
      { epoch: 17, node: 'disk1', unit: CHUNK_BYTES, from: 0, hashes: 2 },
      { epoch: 17, node: 'disk1', unit: PIECE_BYTES, from: CHUNK_BYTES, hashes: 16 },
      { epoch: 17, node: 'disk1', anew: true, pieces: [at] },
    ]);
    assert.deepEqual(closed, copies);
  });

  test('the comparison ignores differences at places that the guest has written to since', async (t) => {
    const { comparing } = stage(t, { different: ['disk0'], isRewritten: true });
    const check = await comparing();
    assert.deepEqual([check?.verdict, check?.excludedBytes], ['equal', PIECE_BYTES]);
    assert.equal(check?.error, undefined);
  });

  test('the comparison closes its readers even after a failure', async (t) => {
    const { closed, comparing } = stage(t, { fault: new Error('cannot be read') });
    assert.equal((await comparing())?.verdict, 'unverified');
    assert.deepEqual(closed, ['disk0']);
  });
});
