import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  initialSource,
  type SourceEvent,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../../../src/migration/direct/source/transition.ts';
import {
  deflate,
  inflate,
  lookAtBalloon,
} from '../../../../../src/mover/direct/source/stream/balloon.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import type { LookDependencies } from '../../../../../src/mover/direct/source/source-base.ts';
import { planned } from '../../../../migration/direct/samples.ts';

const MIB = 1024 ** 2;
const MEMORY = 1024 * MIB;
const signal = AbortSignal.timeout(20_000);

/** A guest with 500 MiB that it could give up; it has no less than `least`. */
function guest({ least = 0, hasBalloon = true, run = 'running' } = {}) {
  let [actual, target, step] = [MEMORY, MEMORY, 0];
  const said: number[] = [];
  const balloon = {
    look: async () => {
      const given = MEMORY - actual;
      const availableBytes = 500 * MIB - given;
      return { actualBytes: actual, wholeBytes: MEMORY, freeBytes: 100 * MIB, availableBytes };
    },
    resize: async (bytes: number) => {
      target = bytes;
      said.push(bytes);
    },
    actual: async () => {
      actual =
        step > 0 ? Math.min(MEMORY, actual + step) : Math.max(least, target, actual - 200 * MIB);
      return actual;
    },
  };
  const session = {
    handle: { driver: 'fake' },
    status: async () => ({ run, stream: 'none' }),
    ...(hasBalloon ? { balloon } : {}),
  };
  let { state } = initialSource(planned({ balloon: 'available' }));
  const context: unknown = {
    state: () => state,
    record: async (event: SourceEvent) => {
      assert.deepEqual(said, [], 'it is written down before anything is taken');
      ({ state } = transition(state, event));
    },
    hypervisor: { session: async () => session },
  };
  const rises = (by: number): void => void (step = by);
  const takenByOther = (bytes: number): void => void (actual = MEMORY - bytes);
  const look: unknown = { state: () => state, guest: { session: async () => session } };
  return {
    context: context as StepContext,
    look: look as LookDependencies,
    said,
    rises,
    takenByOther,
  };
}

describe('the balloon of a moving guest', () => {
  test('the balloon takes the memory that the guest does not need, minus the margin', async () => {
    const { context, said } = guest();
    const { balloon } = await inflate(context, signal);
    assert.deepEqual(balloon, { takenBytes: 436 * MIB, leftBytes: 64 * MIB });
    assert.deepEqual(said, [MEMORY - 436 * MIB]);
  });

  test('the balloon takes no more a second time: a mover that takes over reports the same', async () => {
    const { context } = guest();
    const first = await inflate(context, signal);
    assert.deepEqual(await inflate(context, signal), first);
  });

  test('the balloon stops waiting if the guest gives up less', async () => {
    const { context, said } = guest({ least: 900 * MIB });
    const { balloon } = await inflate(context, signal);
    assert.equal(balloon?.takenBytes, 124 * MIB);
    assert.equal(said.at(-1), 900 * MIB);
  });

  test('the balloon returns its memory, unless the hypervisor has ended', async () => {
    const { context, said } = guest();
    await inflate(context, signal);
    await deflate(context, signal);
    assert.deepEqual(said, [MEMORY - 436 * MIB, MEMORY]);
    const gone = guest({ run: 'gone' });
    await inflate(gone.context, signal);
    await deflate(gone.context, signal);
    assert.equal(gone.said.length, 1);
  });

  test('the balloon returns everything if a mover of the previous build recorded only the taken amount', async () => {
    const { context, said } = guest();
    const { known, ...state } = context.state();
    const balloon = { takenBytes: 436 * MIB, leftBytes: 64 * MIB };
    await deflate(
      { ...context, state: () => ({ ...state, known: { ...known, balloon } }) },
      signal,
    );
    assert.deepEqual(said, [MEMORY]);
  });

  test('a balloon that another program has filled meanwhile is unchanged, and the move is refused', async () => {
    const { context, look, said, takenByOther } = guest();
    assert.equal((await lookAtBalloon(look, signal)).checks[0]?.verdict, 'pass');
    takenByOther(32 * MIB);
    await assert.rejects(inflate(context, signal), /holds 32 MiB already, for somebody else/);
    await deflate(context, signal);
    assert.deepEqual(said, []);
  });

  test('the balloon is refused by name without driver support, and otherwise reports its amount', async () => {
    const [refused] = (await lookAtBalloon(guest({ hasBalloon: false }).look, signal)).checks;
    assert.deepEqual([refused?.name, refused?.verdict], ['balloon', 'refuse']);
    assert.match(refused?.evidence ?? '', /the driver fake knows no balloons/);
    const { checks, take } = await lookAtBalloon(guest().look, signal);
    assert.equal(checks[0]?.verdict, 'pass');
    assert.deepEqual(take, { takesBytes: 436 * MIB, availableBytes: 500 * MIB });
  });

  test("the balloon is awaited while it returns an earlier move's memory, and refused if in other use", async () => {
    const rising = guest();
    await inflate(rising.context, signal);
    rising.rises(100 * MIB);
    const { checks } = await lookAtBalloon(rising.look, signal);
    assert.equal(checks[0]?.verdict, 'pass');
    const held = guest();
    await inflate(held.context, signal);
    const [refused] = (await lookAtBalloon(held.look, signal)).checks;
    assert.match(refused?.evidence ?? '', /holds 436 MiB already, for somebody else/);
  });
});
