import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { agentConfig } from '../../../../../src/config.ts';
import { hashOf } from '../../../../../src/disks/copy/compare/chunks.ts';
import { NbdClient } from '../../../../../src/disks/copy/nbd/client.ts';
import type { DestinationSession } from '../../../../../src/port/direct.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import type { DestinationState } from '../../../../../src/migration/direct/destination/destination.ts';
import { DestinationCompare } from '../../../../../src/mover/direct/destination/disks/compare.ts';
import type { DestinationContext } from '../../../../../src/mover/direct/destination/destination-context.ts';
import {
  CHUNK_BYTES,
  PIECE_BYTES,
  type Comparison,
} from '../../../../../src/protocol/peer/disk-check.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const never = new AbortController().signal;
const EPOCH = 5;
/** Of each image: two chunks and the beginning of a third. */
const BYTES = 2 * CHUNK_BYTES + 512;
const PIECES = Array.from({ length: Math.ceil(BYTES / PIECE_BYTES) }, (_, at) => at * PIECE_BYTES);
const LAST = (PIECES.length - 1) * PIECE_BYTES;

/** A destination to which the disks `vda` and `vdb` were copied; each byte of an image is what `content` says of its place. */
function stage(t: TestContext, content: (at: number) => number = () => 1) {
  const opened: string[] = [];
  const closed: string[] = [];
  const written = new Set<number>();
  const open = async (_socket: string, name: string, _signal: AbortSignal, bitmap?: string) => {
    const who = bitmap === undefined ? name : `${name} with ${bitmap}`;
    opened.push(who);
    return {
      size: BYTES,
      read: async (from: number, length: number) =>
        Buffer.alloc(length).map((_, at) => content(from + at)),
      status: async (from: number, length: number) => {
        assert.ok(length > 0 && from + length <= BYTES, 'it asks beyond the end of the image');
        return [{ bytes: length, flags: written.has(from) ? 1 : 0 }];
      },
      zeroUntil: async (from: number) => from,
      close: () => void closed.push(who),
    };
  };
  t.mock.method(NbdClient, 'open', open as never);
  const asked: string[] = [];
  const watch = {
    view: async (nodes: readonly string[]) => void asked.push(`view ${nodes.join(' ')}`),
    account: async (node: string) => {
      asked.push(`account ${node}`);
      return { export: node, bitmap: 'since' };
    },
    end: async () => void asked.push('end'),
  };
  const stateDir = tempDir(t);
  const config = agentConfig.parse({ name: 'b', address: '10.0.0.2:7443', stateDir });
  const copies = ['vda', 'vdb'].map((node) => ({ node }));
  const state: unknown = { admission: { guest: 'web1' }, preparation: { copies } };
  const session: unknown = { disks: { watch } };
  const context: unknown = { config, log: silentLog };
  return {
    compare: new DestinationCompare(context as DestinationContext),
    state: state as DestinationState,
    session: session as DestinationSession,
    socket: path.join(stateDir, 'guests', 'web1', 'compare.sock'),
    watch,
    asked,
    opened,
    closed,
    written,
  };
}

const compared = (node: string, hashes: string[]): Comparison => ({
  epoch: EPOCH,
  node,
  unit: CHUNK_BYTES,
  from: 0,
  hashes,
});

test("exactly the differing hashes are reported, and a hash beyond the image's end differs", async (t) => {
  const { compare, session, state } = stage(t, (at) => Math.floor(at / CHUNK_BYTES) + 1);
  const own = [CHUNK_BYTES, CHUNK_BYTES, 512].map((bytes, at) =>
    hashOf(Buffer.alloc(bytes, at + 1)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), async (same) => {
      const hashes = same.map((isSame, at) => (isSame ? (own[at] ?? '') : 'f'.repeat(32)));
      const { differ } = await compare.differ(session, state, compared('vda', hashes), never);
      const expected = same.flatMap((isSame, at) => (isSame && at < own.length ? [] : [at]));
      assert.deepEqual(differ, expected);
    }),
    { numRuns: 10 },
  );
});

test('images are opened once, at the first comparison, each by a separate reader', async (t) => {
  const { compare, session, state, asked, opened } = stage(t);
  for (const node of ['vda', 'vdb', 'vda']) {
    await compare.differ(session, state, compared(node, ['']), never);
  }
  assert.deepEqual(asked, ['view vda vdb']);
  assert.deepEqual(opened, ['vda', 'vdb']);
});

test('the chunks that the guest has written to are reported, and no question goes beyond the end', async (t) => {
  const { compare, session, state, written, asked } = stage(t);
  const pieces = fc.uniqueArray(fc.constantFrom(...PIECES, LAST + PIECE_BYTES), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.subarray(PIECES), async (wanted, dirty) => {
      written.clear();
      for (const each of dirty) written.add(each);
      const body = { epoch: EPOCH, node: 'vda', anew: false, pieces: wanted };
      const { rewritten } = await compare.rewritten(session, state, body, never);
      assert.deepEqual(
        rewritten,
        wanted.map((each) => dirty.includes(each)),
      );
    }),
  );
  assert.deepEqual(asked, ['account vda'], 'what was written is accounted for again and again');
});

test('the tracking of writes restarts if requested, and the previous reader is closed', async (t) => {
  const { compare, session, state, asked, opened, closed } = stage(t);
  const body = { epoch: EPOCH, node: 'vda', pieces: [0] };
  for (const anew of [true, false, true]) {
    await compare.rewritten(session, state, { ...body, anew }, never);
  }
  assert.deepEqual(asked, ['account vda', 'account vda']);
  assert.deepEqual(opened, ['vda with since', 'vda with since']);
  assert.deepEqual(closed, ['vda with since']);
});

test('a disk that was not copied is not read, and no disk is if the driver tracks none', async (t) => {
  const { compare, session, state, opened } = stage(t);
  const refused = (error: unknown): boolean => hasCode(error, 'GODWIT_INTERNAL');
  const body = { epoch: EPOCH, node: 'vdc', anew: true, pieces: [0] };
  await assert.rejects(compare.differ(session, state, compared('vdc', ['']), never), refused);
  await assert.rejects(compare.rewritten(session, state, body, never), refused);
  const none = {} as DestinationSession;
  await assert.rejects(compare.differ(none, state, compared('vda', ['']), never), refused);
  assert.deepEqual(opened, []);
});

test('the end of a comparison closes all readers and removes the socket, even without a hypervisor', async (t) => {
  const { compare, session, state, closed, socket, watch } = stage(t);
  await compare.differ(session, state, compared('vda', ['']), never);
  await compare.rewritten(
    session,
    state,
    { epoch: EPOCH, node: 'vdb', anew: true, pieces: [0] },
    never,
  );
  mkdirSync(path.dirname(socket), { recursive: true });
  writeFileSync(socket, '');
  watch.end = async () => Promise.reject(new Error('its monitor is gone'));
  await compare.end(session, state, never);
  assert.deepEqual(closed, ['vda', 'vdb with since']);
  assert.ok(!existsSync(socket));
});

test('the end of a comparison does not call the hypervisor if no disk was copied', async (t) => {
  const { compare, session, asked } = stage(t);
  const state: unknown = { admission: { guest: 'web1' } };
  await compare.end(session, state as DestinationState, never);
  assert.deepEqual(asked, []);
});
