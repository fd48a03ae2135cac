import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { agentConfig } from '../../../../src/config.ts';
import { FirstFrame } from '../../../../src/mover/direct/destination/first-frame.ts';
import type { DestinationState } from '../../../../src/migration/direct/destination/destination.ts';

const state = { ports: { net0: 'tapx', net1: 'tapy' } } as unknown as DestinationState;
const own = { name: 'b', address: '10.0.0.2:7443', stateDir: '/nowhere' };
const config = agentConfig.parse(own);
const off = agentConfig.parse({ ...own, network: { probe: 'off' } });

/** Resolves once it has looked so often. */
function stage(counts: readonly (number | undefined)[]) {
  let looks = 0;
  const enough = Promise.withResolvers<void>();
  const frames = new FirstFrame(systemClock, (port) => {
    if (port === 'tapy') return 0;
    const count = counts[Math.min(looks, counts.length - 1)];
    looks += 1;
    if (looks >= counts.length) enough.resolve();
    return count;
  });
  return { frames, enough: enough.promise, looks: () => looks };
}

describe('the first frame on the new port', () => {
  test('the first frame is reported once one of the ports has received one', async () => {
    const { frames, enough } = stage([0, 0, 0, 1]);
    assert.deepEqual(frames.report(), {});
    frames.expect(state, config);
    await enough;
    await new Promise(setImmediate);
    const { firstFrameMs } = frames.report();
    assert.ok(firstFrameMs !== undefined && firstFrameMs > 0);
    frames.close();
  });

  test('the first frame is not reported if the guest had sent frames here before it was resumed', () => {
    const { frames } = stage([3]);
    frames.expect(state, config);
    assert.deepEqual(frames.report(), {});
  });

  test('the first frame is not reported without such a port, or without a request for it', () => {
    const none = stage([undefined]);
    none.frames.expect({ ports: {} } as unknown as DestinationState, config);
    assert.deepEqual(none.frames.report(), {});
    const unwanted = stage([0, 1]);
    unwanted.frames.expect(state, off);
    assert.deepEqual(unwanted.frames.report(), {});
    assert.equal(unwanted.looks(), 0);
  });

  test('the first frame counts only from the first order', async () => {
    const { frames, looks, enough } = stage([0, 1]);
    frames.expect(state, config);
    await enough;
    await new Promise(setImmediate);
    const { firstFrameMs } = frames.report();
    frames.expect(state, config);
    assert.equal(frames.report().firstFrameMs, firstFrameMs);
    assert.equal(looks(), 2);
  });
});
