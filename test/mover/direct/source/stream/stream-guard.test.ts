import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../../../../src/clock.ts';
import type { SourceEvent } from '../../../../../src/migration/direct/source/source-state.ts';
import { StreamGuard } from '../../../../../src/mover/direct/source/stream/stream-guard.ts';

const never = new AbortController().signal;

/** A guard whose time and link a test moves by hand. */
function scene() {
  let now = 1000;
  const link = { answers: true, other: false, asked: 0 };
  const said: SourceEvent[] = [];
  const clock: Clock = { wallMs: () => now, monotonicMs: () => now, sleep: async () => {} };
  const guard = new StreamGuard({
    clock,
    peer: {
      answers: async () => {
        link.asked += 1;
        return link.answers;
      },
      choose: async () => link.other,
    },
    dispatch: (event) => said.push(event),
    streamAddress: () => '10.0.0.2:49152',
  });
  const before = async (ms: number): Promise<void> => {
    now += ms;
    await guard.lookBefore(never);
  };
  const after = async (ms: number): Promise<void> => {
    now += ms;
    await guard.look(never);
  };
  return { guard, link, said, after, before };
}

describe('the guard of a post-copy stream', () => {
  test('the post-copy guard asks nothing while bytes flow', async () => {
    const { guard, link, said, after } = scene();
    for (let sent = 1; sent < 50; sent += 1) {
      guard.saw(sent * 4096, 'drain');
      await after(200);
    }
    assert.equal(link.asked, 0);
    assert.deepEqual(said, []);
  });

  test('the post-copy guard reports a stall that ended by itself, and no shorter one', async () => {
    const { guard, said, after } = scene();
    guard.saw(1, 'drain');
    await after(900);
    guard.saw(2, 'drain');
    assert.deepEqual(said, []);
    await after(1600);
    guard.saw(3, 'drain');
    assert.deepEqual(said, [{ type: 'flows', afterMs: 1600 }]);
  });

  test('the post-copy guard waits for a dead link, and has the stream resumed as soon as it answers', async () => {
    const { guard, link, said, after } = scene();
    guard.saw(1, 'drain');
    link.answers = false;
    for (let each = 0; each < 20; each += 1) await after(500);
    assert.deepEqual(said, []);
    link.answers = true;
    await after(100);
    assert.deepEqual(said, [{ type: 'stalled', forMs: 10_100 }]);
    // Once is enough: whoever takes it up tries until it works.
    await after(5000);
    assert.equal(said.length, 1);
    // Also one that came back without help has come back.
    guard.saw(2, 'drain');
    assert.deepEqual(said.slice(1), [{ type: 'flows' }]);
  });

  test('the post-copy guard leaves a stream alone if only its last bytes are in flight', async () => {
    const { guard, link, said, after } = scene();
    guard.saw(1, 'drain', 4096);
    guard.saw(2, 'drain', 0);
    link.answers = false;
    link.other = true;
    for (let each = 0; each < 20; each += 1) await after(500);
    link.answers = true;
    await after(20_000);
    assert.deepEqual(said, []);
    assert.equal(link.asked, 0);
  });

  test('the post-copy guard takes another path after a moment of silence', async () => {
    const { guard, link, said, after } = scene();
    guard.saw(1, 'drain');
    link.answers = false;
    link.other = true;
    await after(1400);
    assert.deepEqual(said, []);
    await after(200);
    assert.deepEqual(said, [{ type: 'stalled', forMs: 1600 }]);
  });

  test('the post-copy guard leaves a stream alone if its break is already known', async () => {
    const { guard, link, said, after } = scene();
    guard.saw(1, 'drain');
    guard.known();
    link.answers = false;
    link.other = true;
    await after(10_000);
    assert.deepEqual([said.length, link.asked], [0, 0]);
  });

  test('the post-copy guard detects a resumed stream that stalls again', async () => {
    const { guard, link, said, after } = scene();
    guard.saw(1, 'drain');
    guard.known();
    await after(5000);
    guard.anew();
    link.answers = false;
    link.other = true;
    await after(1400);
    assert.deepEqual(said, []);
    await after(200);
    assert.deepEqual(said, [{ type: 'stalled', forMs: 1600 }]);
  });

  test('the guard gives up pre-copy whose path is dead, and no other', async () => {
    const { guard, link, said, before } = scene();
    guard.saw(1, 'memory');
    await before(40_000);
    guard.saw(2, 'memory');
    assert.deepEqual(said, []);
    await before(60_000);
    assert.deepEqual(said, []);
    link.answers = false;
    await before(1000);
    await before(1000);
    assert.deepEqual(
      said.map(({ type }) => type),
      ['destination-lost'],
    );
  });

  test('the guard has no byte count before it saw any', async () => {
    const { guard, link, after } = scene();
    await after(60_000);
    assert.equal(guard.stillMs, 0);
    assert.equal(link.asked, 0);
  });
});
