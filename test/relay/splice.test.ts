import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Splice } from '../../src/relay/splice.ts';

const LIMITS = { idleMs: 10_000, stalledMs: 100 };

/** An end that takes a piece only when `take` is called. */
function slowEnd() {
  const taken: (() => void)[] = [];
  const end = new Duplex({
    highWaterMark: 10,
    read: () => {},
    write: (_chunk, _encoding, done) => void taken.push(done),
  });
  return { end, take: () => taken.shift()?.() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a side that reads slowly, but reads, is never cut', async () => {
  const { end, take } = slowEnd();
  const source = new PassThrough();
  const splice = new Splice(source, end, 0, LIMITS);
  for (let nowMs = 0; nowMs < 1000; nowMs += 50) {
    source.write(Buffer.alloc(64));
    await turn();
    splice.time(nowMs, true);
    assert.equal(end.writableNeedDrain, true, 'it lags behind all the time');
    take();
    await turn();
  }
  assert.equal(end.destroyed, false);
  splice.destroy();
});

test('data from one turn of the event loop leaves in one write, and nothing is held back', async () => {
  const writes: number[][] = [];
  const end = new Duplex({
    read: () => {},
    writev: (chunks, done) => {
      writes.push(chunks.map(({ chunk }) => (chunk as Buffer).length));
      done();
    },
  });
  const source = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const splice = new Splice(source, end, 0, LIMITS);
  for (const bytes of [3, 2, 1]) source.push(Buffer.alloc(bytes));
  await turn();
  await turn();
  assert.deepEqual(writes, [[3, 2, 1]]);
  source.push(Buffer.alloc(4));
  source.push(null);
  await turn();
  await turn();
  assert.deepEqual(writes, [[3, 2, 1], [4]]);
  assert.equal(end.writableFinished, true);
  splice.destroy();
});

test('a side that reads nothing for too long is cut', async () => {
  const { end } = slowEnd();
  const source = new PassThrough();
  const splice = new Splice(source, end, 0, LIMITS);
  source.write(Buffer.alloc(64));
  await turn();
  splice.time(0, true);
  splice.time(99, false);
  assert.equal(end.destroyed, false);
  splice.time(100, false);
  assert.equal(end.destroyed, true);
});

test('a side that continues for too long after the other has ended is cut', async () => {
  const one = new PassThrough();
  const { end } = slowEnd();
  const splice = new Splice(one, end, 0, LIMITS);
  one.end();
  await turn();
  await turn();
  splice.time(0, true);
  splice.time(100, true);
  assert.equal(end.destroyed, true);
});
