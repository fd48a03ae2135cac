import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { CHANNEL } from '../../../src/links/channels.ts';
import { SourceRelay } from '../../../src/wire/relay/source.ts';
import * as writer from '../stream/writer.ts';
import { sessionPair } from './memory-session.ts';
import { readAll, relayPair, type Pair } from './pair.ts';
import { longStream } from './streams.ts';

const taken = (bytes: number): string => JSON.stringify({ type: 'taken', bytes });
const hello = JSON.stringify({
  type: 'hello',
  version: 1,
  tag: null,
  digest: '',
  summaryBytes: 4,
});

/** Sends a stream as a hypervisor, both sides end; gives what the far hypervisor got. */
async function migrate(pair: Pair, stream: Buffer): Promise<Buffer> {
  const near = await pair.connect();
  const far = await pair.accept();
  near.end(stream);
  const got = await readAll(far);
  far.end();
  await readAll(near);
  return got;
}

/** The other side has ended the connection, or reset it where it had not read all. */
async function over(socket: net.Socket): Promise<void> {
  if (socket.readableEnded || socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket
      .once('end', () => resolve())
      .once('close', () => resolve())
      .resume();
  });
}

async function close({ source, target, near, far }: Pair): Promise<void> {
  await Promise.all([source.close(60_000), target.close(60_000)]);
  await near.close(60_000);
  await Promise.all([near.ended, far.ended]);
}

describe('a relay', () => {
  test('a relay gives the far hypervisor the bytes of the near one, and answers the other way', async (context) => {
    const pair = await relayPair(context);
    const stream = longStream(3000);
    const near = await pair.connect();
    const far = await pair.accept();
    far.write('answer of the destination');
    const [answer] = (await once(near, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'answer of the destination');
    near.end(stream);
    const got = await readAll(far);
    assert.ok(got.equals(stream), `${got.length} of ${stream.length} bytes`);
    far.end('the last word');
    assert.equal((await readAll(near)).toString(), 'the last word');
    await close(pair);
    const { tallies, streamBytes, returnBytes } = pair.source.figures;
    assert.equal(tallies[0]?.encoded.zero, 1000);
    assert.equal(streamBytes, stream.length);
    assert.equal(returnBytes, 'answer of the destination'.length + 'the last word'.length);
  });

  test('a relay gives the same bytes over a link whose channels overtake each other', async (context) => {
    let seed = 1;
    const way = async (): Promise<void> => {
      seed = (Math.imul(seed, 48_271) >>> 0) % 2_147_483_647;
      await sleep(seed % 4);
    };
    const pair = await relayPair(context, { way });
    const stream = longStream(1500, 5, 2);
    assert.ok((await migrate(pair, stream)).equals(stream));
    await close(pair);
  });

  test('a relay forwards its data before anything follows it', async (context) => {
    const pair = await relayPair(context);
    const near = await pair.connect();
    const far = await pair.accept();
    // Whole items, a torn one, bytes that are nothing at all: none of them may wait for more.
    const pieces = [
      Buffer.concat([writer.fileHeader(), writer.command(1)]),
      writer.command(2, Buffer.from([0, 0, 0, 1])),
      writer.page(0, Buffer.alloc(4096, 3), 'pc.ram').subarray(0, 1000),
      Buffer.from('no stream'),
    ];
    const got = far.iterator({ destroyOnReturn: false });
    for (const piece of pieces) {
      near.write(piece);
      let seen = Buffer.alloc(0);
      while (seen.length < piece.length) {
        seen = Buffer.concat([seen, (await got.next()).value as Buffer]);
      }
      assert.ok(seen.equals(piece));
    }
  });

  test('a relay lets the second connection overtake the first, each in order', async (context) => {
    const held = Promise.withResolvers<void>();
    const pair = await relayPair(context, {
      way: (channel) => (channel === CHANNEL.main ? held.promise : Promise.resolve()),
    });
    const stream = longStream(200);
    const main = await pair.connect();
    const farMain = await pair.accept();
    main.end(stream);
    const urgent = await pair.connect();
    const farUrgent = await pair.accept();
    const page = writer.page(8192, Buffer.alloc(4096, 9), 'pc.ram');
    urgent.write(page);
    let got = Buffer.alloc(0);
    while (got.length < page.length) {
      got = Buffer.concat([got, ((await once(farUrgent, 'data')) as [Buffer])[0]]);
    }
    assert.ok(got.equals(page));
    held.resolve();
    assert.ok((await readAll(farMain)).equals(stream));
    urgent.end();
    farUrgent.end();
    farMain.end();
    await close(pair);
  });

  test('a relay closes the far connection if the near one breaks, and vice versa', async (context) => {
    for (const side of ['near', 'far'] as const) {
      const pair = await relayPair(context);
      const near = await pair.connect();
      const far = await pair.accept();
      // A torn item waits for its rest when it breaks.
      near.write(Buffer.concat([writer.fileHeader(), writer.command(1).subarray(0, 3)]));
      await once(far, 'data');
      const [gone, other] = side === 'near' ? [near, far] : [far, near];
      // With something that it has not read, a unix socket is reset.
      other.write('unread');
      gone.pause();
      gone.destroy();
      await over(other);
      await Promise.all([pair.source.close(60_000), pair.target.close(60_000)]);
      await pair.near.close(60_000);
    }
  });

  test('a relay does not end the stream if its session ends', async (context) => {
    const pair = await relayPair(context);
    const near = await pair.connect();
    const far = await pair.accept();
    const stream = longStream(50);
    near.write(stream.subarray(0, 100_000));
    await once(far, 'data');
    pair.near.abort(new Error('the grace is over'));
    await assert.rejects(pair.source.failed, { code: 'GODWIT_WIRE_BROKEN', message: /grace/ });
    await assert.rejects(pair.target.failed, { code: 'GODWIT_WIRE_BROKEN', message: /grace/ });
    // The near hypervisor may not think that all it wrote was taken.
    await new Promise((resolve) => near.once('close', resolve).resume().write('more'));
  });

  test('a relay still has the blocks if post-copy recovers over a new session', async (context) => {
    const known = new StreamContext();
    const first = await relayPair(context, { context: known });
    await migrate(first, longStream(20));
    const again = Buffer.concat([
      writer.command(9),
      writer.partHeader('part', 2),
      ...Array.from({ length: 40 }, (_, at) =>
        writer.page(at * 4096, Buffer.alloc(4096, at + 1), at === 0 ? 'pc.ram' : undefined),
      ),
      writer.endOfSection,
      writer.footer(2),
    ]);
    const second = await relayPair(context, { context: known });
    assert.ok((await migrate(second, again)).equals(again));
    await close(second);
    const { bytes, ...pages } = second.source.figures.tallies[0]!.encoded;
    assert.ok(bytes < 20);
    assert.equal(
      Object.values(pages).reduce((sum, count) => sum + count, 0),
      40,
    );
  });

  test('a relay refuses a third connection', async (context) => {
    const pair = await relayPair(context);
    await pair.connect();
    await pair.connect();
    const third = await pair.connect();
    await over(third);
  });

  test('a relay returns any bytes, however they arrive', async (context) => {
    const any = fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(any, fc.nat(40), async (parts, pages) => {
        const stream = Buffer.concat([longStream(pages), ...parts, longStream(pages, 3)]);
        const pair = await relayPair(context);
        assert.ok((await migrate(pair, stream)).equals(stream));
        await close(pair);
      }),
      { numRuns: 8 },
    );
  });
});

describe('a damaged wire', () => {
  test('a damaged wire ends the migration before the hypervisor gets wrong bytes, and names the frame', async (context) => {
    let frames = 0;
    const way = (channel: number, message: Uint8Array): Promise<void> => {
      if (channel === CHANNEL.main) frames += 1;
      // Within the payload of a frame that is not the first.
      if (channel === CHANNEL.main && frames === 20) message[100]! ^= 0xff;
      return Promise.resolve();
    };
    const pair = await relayPair(context, { way });
    const stream = longStream(3000);
    const near = await pair.connect();
    const far = await pair.accept();
    near.end(stream);
    const got = await readAll(far);
    await assert.rejects(pair.target.failed, { code: 'GODWIT_WIRE_CORRUPT', message: /frame \d+/ });
    await assert.rejects(pair.source.failed, /frame \d+/);
    assert.ok(got.length < stream.length);
    assert.ok(got.equals(stream.subarray(0, got.length)), 'what was released is right');
  });
});

describe('a wrong far side', () => {
  const cases: [string, number, string, RegExp][] = [
    ['says what is no message', CHANNEL.control, 'no JSON', /not a message of the wire/],
    ['says that it took what was not sent', CHANNEL.control, taken(1e9), /bytes taken/],
    ['greets twice', CHANNEL.control, hello, /second hello/],
    ['answers what no decoder does', CHANNEL.answersMain, 'x'.repeat(36), /frame 0/],
    ['answers so for the urgent connection', CHANNEL.answersUrgent, 'x'.repeat(36), /frame 0/],
  ];
  for (const [what, channel, message, reason] of cases) {
    test(`a wrong far side fails the wire at the source: it ${what}`, async (context) => {
      const pair = await relayPair(context);
      const near = await pair.connect();
      await pair.accept();
      await pair.far.send(channel, Buffer.from(message));
      await assert.rejects(pair.source.failed, reason);
      await over(near);
    });
  }

  test('a far side with invalid frames fails the wire at the destination', async (context) => {
    const pair = await relayPair(context);
    await pair.connect();
    const far = await pair.accept();
    await pair.near.send(CHANNEL.main, Buffer.alloc(100, 'x'));
    await assert.rejects(pair.target.failed, { code: 'GODWIT_WIRE_CORRUPT', message: /frame 0/ });
    await over(far);
  });

  test('a far side that never answers is given up', async () => {
    const [near] = sessionPair(() => new Promise(() => undefined));
    const options = { socket: '/nowhere', peer: 'b', memoryBytes: 4096, cores: 1, helloMs: 20 };
    await assert.rejects(SourceRelay.open(near, options), { code: 'GODWIT_DEADLINE' });
    await assert.rejects(near.ended);
  });
});
