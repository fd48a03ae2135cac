import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FIRST_STREAM, LAST_STREAM, Mux } from '../../../../src/disks/copy/tunnel/mux.ts';
import type { Session } from '../../../../src/links/session.ts';
import { hasCode } from '../../../../src/errors.ts';
import { muxes, readAll } from './muxes.ts';
import { untilSo } from '../../../until.ts';

const LINES = LAST_STREAM - FIRST_STREAM + 1;
const BOUND = 1024 * 1024;

/** Writes without waiting for anybody; resolves to whether all of it was taken. */
function flood(socket: net.Socket, bytes: number): Promise<boolean> {
  return new Promise((resolve) => {
    socket.write(randomBytes(bytes), (error) => resolve(error === null || error === undefined));
  });
}

describe('a connection through the tunnel', () => {
  test('a connection carries bytes both ways, unchanged, and each half ends by itself', async (t) => {
    const { pair, source, target } = await muxes(t);
    const [near, far] = await pair();
    const [there, back] = [randomBytes(3_000_000), randomBytes(2_000_000)];
    near.end(there);
    assert.ok((await readAll(far)).equals(there));
    far.end(back);
    assert.ok((await readAll(near)).equals(back));
    await untilSo(() => source.streams === 0 && target.streams === 0);
    assert.deepEqual([source.sentBytes, source.receivedBytes], [there.length, back.length]);
    assert.deepEqual([target.sentBytes, target.receivedBytes], [back.length, there.length]);
  });

  test("a connection may begin with the other hypervisor's bytes", async (t) => {
    const { pair } = await muxes(t);
    const [near, far] = await pair();
    far.write('NBDMAGIC');
    const [greeting] = (await once(near, 'data')) as [Buffer];
    assert.equal(greeting.toString(), 'NBDMAGIC');
  });

  test('a connection that breaks on one host is broken on the other', async (t) => {
    const { pair, source, target } = await muxes(t);
    for (const broken of [0, 1] as const) {
      const ends = await pair();
      const whole = ends[1 - broken]!;
      ends[broken].destroy();
      whole.resume();
      whole.on('end', () => whole.end());
      await once(whole, 'close');
      await untilSo(() => source.streams === 0 && target.streams === 0);
    }
  });

  test("a connection is closed at the source if the destination's hypervisor is not there", async (t) => {
    const { dial, listener, source, target } = await muxes(t);
    listener.close();
    const { socket } = await dial();
    assert.equal((await readAll(socket)).length, 0);
    await untilSo(() => source.streams === 0 && target.streams === 0);
  });

  test('an unread connection stops its writer and no other, and holds little', async (t) => {
    const { pair, source, target } = await muxes(t);
    const [stuck, deaf] = await pair();
    let isTaken = false;
    const flooding = flood(stuck, 64 * BOUND).then((taken) => (isTaken = taken));
    await untilSo(() => target.heldBytes > 0);
    for (let round = 0; round < 20; round += 1) {
      const [near, far] = await pair();
      const bytes = randomBytes(300_000);
      near.end(bytes);
      assert.ok((await readAll(far)).equals(bytes));
      far.end();
      await readAll(near);
    }
    await untilSo(() => source.streams === 1);
    assert.ok(target.heldBytes <= BOUND && source.sentBytes < 20 * BOUND, `${source.sentBytes}`);
    assert.equal(isTaken, false);
    deaf.destroy();
    await flooding;
    await untilSo(() => source.streams === 0 && target.streams === 0);
  });

  test('an unread connection continues from its last byte once it is read', async (t) => {
    const { pair, target } = await muxes(t);
    const [near, far] = await pair();
    const bytes = randomBytes(4 * BOUND);
    near.end(bytes);
    await untilSo(() => target.heldBytes > 0);
    assert.ok((await readAll(far)).equals(bytes));
  });

  test('connections are limited to the channels; one more is closed, and a free channel serves again', async (t) => {
    const { pair, dial, source } = await muxes(t);
    const open = [];
    for (let count = 0; count < LINES; count += 1) open.push(await pair());
    const more = await dial();
    assert.equal(more.open, false);
    await readAll(more.socket);
    const [near, far] = open.at(-1)!;
    near.end();
    far.end();
    await untilSo(() => source.streams === LINES - 1);
    const [again, there] = await pair();
    again.end('again');
    assert.equal((await readAll(there)).toString(), 'again');
  });

  test('a connection is broken on both sides when the session is over', async (t) => {
    const { pair, near: session } = await muxes(t);
    const ends = await pair();
    const both = ends.map((end) => readAll(end));
    session.abort(new Error('over'));
    await Promise.all(both);
  });

  test('a connection without an answer in time is broken, and the session and a quiet connection stay', async (t) => {
    const { pair, source, target, near: session } = await muxes(t);
    const [silent, deaf] = await pair();
    const [quiet, other] = await pair();
    quiet.write('question');
    await once(other, 'data');
    other.write('answer');
    await once(quiet, 'data');
    silent.write('question');
    await once(deaf, 'data');

    const ended = readAll(silent);
    const startMs = performance.now();
    await untilSo(() => {
      source.breakSilent(performance.now(), 50);
      return source.streams < 2;
    });
    assert.ok(performance.now() - startMs >= 50);

    await ended;

    await untilSo(() => target.streams === 1);

    quiet.end('more');
    assert.equal((await readAll(other)).toString(), 'more');
    session.abort(new Error('over'));
  });
});

test('bytes written in any pieces arrive in order, on many connections, both ways', async (t) => {
  const piece = fc.record({
    stream: fc.nat(3),
    back: fc.boolean(),
    bytes: fc.oneof(fc.nat(100), fc.nat(200_000)),
    pause: fc.boolean(),
  });
  const delays = fc.array(fc.nat(3), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), delays, async (pieces, late) => {
      let turn = 0;
      const { pair, source, target } = await muxes(t, async () => {
        const turns = late[(turn += 1) % late.length] ?? 0;
        for (let count = 0; count < turns; count += 1)
          await new Promise((next) => setImmediate(next));
      });
      const streams = await Promise.all(Array.from({ length: 4 }, pairInOrder(pair)));
      const wrote = streams.map(() => [[], []] as [Buffer[], Buffer[]]);
      const read = streams.flatMap(([near, far]) => [readAll(far), readAll(near)]);
      for (const { stream, back, bytes, pause } of pieces) {
        const chunk = randomBytes(bytes);
        wrote[stream]![back ? 1 : 0].push(chunk);
        streams[stream]![back ? 1 : 0].write(chunk);
        if (pause) await new Promise((next) => setImmediate(next));
      }
      for (const [near, far] of streams) [near, far].forEach((end) => end.end());
      const came = await Promise.all(read);
      const expected = wrote.flatMap(([there, back]) => [
        Buffer.concat(there),
        Buffer.concat(back),
      ]);
      for (const [at, bytes] of came.entries()) assert.ok(bytes.equals(expected[at]!), `way ${at}`);
      await untilSo(() => source.streams === 0 && target.streams === 0);
      assert.equal(target.heldBytes, 0);
    }),
    { numRuns: 25 },
  );
});

/** One after the other, so that each gets its own other end. */
function pairInOrder<T>(pair: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(pair);
    last = next;
    return next;
  };
}

describe('a destination', () => {
  for (const [what, bytes] of [
    ['data of a connection that is not open', [2, 1]],
    ['the end of one', [3]],
    ['a kind that does not exist', [9]],
    ['nothing at all', []],
  ] as const) {
    test(`the session ends at ${what}`, async (t) => {
      const { near, far } = await muxes(t);
      await near.send(FIRST_STREAM, Uint8Array.from(bytes));
      await assert.rejects(far.ended, (error) => hasCode(error, 'GODWIT_PROTOCOL_INVALID'));
    });
  }

  test("any messages on any channel stay within the destination's bounds or end the session", async (t) => {
    const data = fc.nat(32_000).map((length) => [2, ...new Uint8Array(length + 1)]);
    const message = fc.oneof(
      fc.constantFrom([1], [3], [5]),
      data,
      fc.tuple(fc.nat(2), fc.nat(2)).map(([taken, room]) => [4, 0, 0, 0, taken, 0, 0, 0, room]),
      fc.uint8Array({ maxLength: 10 }).map((bytes) => [...bytes]),
    );
    const channel = fc.constantFrom(FIRST_STREAM, FIRST_STREAM, FIRST_STREAM + 1, LAST_STREAM);
    const said = fc.array(fc.tuple(channel, message), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(said, async (messages) => {
        const { near, far, target } = await muxes(t);
        let error: unknown;
        far.ended.catch((thrown: unknown) => (error = thrown));
        // What the destination says is no answer to anything here.
        near.onMessage = () => Promise.resolve();
        for (const [at, bytes] of messages) {
          await near.send(at, Uint8Array.from(bytes)).catch(() => undefined);
          assert.ok(target.heldBytes <= 2 * BOUND && target.streams <= LINES);
        }
        await untilSo(() => near.unacknowledgedBytes === 0 || error !== undefined);
        assert.ok(error === undefined || hasCode(error, 'GODWIT_PROTOCOL_INVALID'));
        near.abort(new Error('enough'));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a source with many short connections', () => {
  const OPEN = Uint8Array.of(1);
  const CLOSED = Uint8Array.of(5);

  /** A destination whose hypervisor takes no connection; `send` is its session's. */
  function destination(send: () => Promise<void>) {
    const connectedMs: number[] = [];
    const session = {
      ended: new Promise<void>(() => undefined),
      onMessage: () => Promise.resolve(),
      send,
    } as unknown as Session;
    const connect = () => {
      connectedMs.push(performance.now());
      return Promise.reject(new Error('nobody is there'));
    };
    const mux = new Mux({ session, peer: 'a', connect });
    return { mux, session, connectedMs };
  }

  test('a source gets no further connection on a channel before the session has the end of the last', async () => {
    const sent = Promise.withResolvers<void>();
    const { mux, session, connectedMs } = destination(() => sent.promise);
    await session.onMessage(FIRST_STREAM, OPEN);
    await session.onMessage(FIRST_STREAM, CLOSED);
    await new Promise(setImmediate);
    assert.deepEqual([mux.streams, connectedMs.length], [1, 1]);
    await assert.rejects(session.onMessage(FIRST_STREAM, OPEN), (error) =>
      hasCode(error, 'GODWIT_PROTOCOL_INVALID'),
    );
    sent.resolve();
    await untilSo(() => mux.streams === 0);
    await session.onMessage(FIRST_STREAM, OPEN);
    assert.equal(connectedMs.length, 2);
  });

  test('a source gets a limited number of connections per second', async () => {
    const { mux, session, connectedMs } = destination(() => Promise.resolve());
    const cycles = Array.from({ length: LINES }, async (_, at) => {
      for (let round = 0; round < 3; round += 1) {
        await session.onMessage(FIRST_STREAM + at, OPEN);
        await session.onMessage(FIRST_STREAM + at, CLOSED);
        await new Promise(setImmediate);
      }
    });
    await Promise.all(cycles);
    await untilSo(() => mux.streams === 0);
    assert.equal(connectedMs.length, 3 * LINES);
    for (const [at, later] of connectedMs.slice(2 * LINES).entries()) {
      assert.ok(later - (connectedMs[at] ?? 0) > 990, `${at}`);
    }
  });
});
