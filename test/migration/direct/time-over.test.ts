import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { driveUntil, settle } from './drive.ts';
import { assertHandedOver, assertSourceRuns, isDoing } from './endings.ts';
import { planned, sampleOf } from './samples.ts';
import { World } from './world.ts';

const PAUSED = { type: 'postcopy-paused', reason: 'the link is gone' } as const;
const STOPPED = { type: 'stopped' } as const;
const RESUMED = { type: 'resumed' } as const;

describe('timeouts', () => {
  const over = { type: 'timeout', afterMs: 1000 } as const;

  test('a timeout while memory moves reports that the guest dirties faster than the link transfers', () => {
    const world = new World();
    driveUntil(world, isDoing('memory'));
    const sample = sampleOf({ round: 2, dirtyRate: 300, rate: 200 });
    world.dispatch({ type: 'measured', sample, final: false });
    world.dispatch(over);
    settle(world);
    assert.equal(world.outcome, 'failed');
    assertSourceRuns(world);
    assert.equal(world.state.because?.code, 'GODWIT_NOT_CONVERGED');
    assert.match(
      world.state.because?.message ?? '',
      /it dirties 300 B\/s, and the link takes 200 B\/s/,
    );
  });

  test('a timeout while the link is stalled names the link and no dirty rate', () => {
    const world = new World(planned({ mode: 'hybrid' }));
    driveUntil(world, isDoing('memory'));
    world.dispatch({ ...over, sample: sampleOf({ dirtyRate: 300, rate: 200 }), stillMs: 20_000 });
    settle(world);
    assertSourceRuns(world);
    assert.equal(world.state.because?.code, 'GODWIT_LINK_STILL');
    assert.match(
      world.state.because?.message ?? '',
      /the link from .* has carried no data .* 20\.0 s/,
    );
  });

  test('a timeout proposes nothing that was already requested, and uses the newest figures', () => {
    for (const mode of ['precopy', 'hybrid'] as const) {
      const world = new World(planned({ mode, maxBandwidth: 1_000_000 }));
      driveUntil(world, isDoing('memory'));
      const old = sampleOf({ round: 2, dirtyRate: 300, rate: 200 });
      world.dispatch({ type: 'measured', sample: old, final: false });
      world.dispatch({ ...over, sample: { ...old, rate: 777 }, stillMs: 0 });
      const { hint = '', message = '' } = world.state.because ?? {};
      assert.match(message, /777/);
      assert.equal(hint.includes('--mode hybrid'), mode === 'precopy', hint);
      assert.match(hint, /--max-bandwidth.*--give-up-after/);
    }
  });

  test('a timeout in the first round reports the remaining memory and the options, without a dirty rate', () => {
    for (const mode of ['precopy', 'hybrid', 'postcopy'] as const) {
      const world = new World(planned({ mode }));
      driveUntil(world, isDoing('memory'));
      const [totalBytes, remainingBytes] = [2 ** 30, 2 ** 29];
      const sample = sampleOf({
        round: 1,
        dirtyRate: 0,
        rate: 2 ** 20,
        totalBytes,
        remainingBytes,
      });
      world.dispatch({ ...over, sample });
      const { hint = '', message = '' } = world.state.because ?? {};
      assert.match(message, /512 MiB of 1 GiB were left, and the link takes 1 MiB\/s$/);
      assert.doesNotMatch(message + hint, /dirties|hybrid/);
      assert.equal(hint.includes('--mode postcopy'), mode !== 'postcopy', hint);
    }
  });

  test('a timeout in another step names the step', () => {
    const world = new World();
    driveUntil(world, isDoing('switchover'));
    world.dispatch(over);
    settle(world);
    assertSourceRuns(world);
    assert.match(world.state.because?.message ?? '', /step switchover/);
  });

  test('a timeout during a hanging switch to post-copy changes nothing', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('switchover'));
    world.dispatch({ type: 'hypervisor', event: STOPPED });
    world.dispatch(over);
    assert.equal(world.outcome, 'held');
    assert.match(world.state.because?.message ?? '', /post-copy.* took longer than 1\.0 s/);
  });

  test('a timeout while a broken post-copy stream is resumed holds the guest only after that has failed', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('drain'));
    world.dispatch({ type: 'hypervisor', event: PAUSED });
    world.dispatch(over);
    assert.equal(world.outcome, 'running');
    const failed = godwitError('GODWIT_DEADLINE', { what: 'recovery', deadlineMs: 1000 }).toJSON();
    world.dispatch({ type: 'recovery-failed', error: failed });
    assert.equal(world.outcome, 'held');
  });

  test('a switch to post-copy that has not begun at the timeout is undone, since the guest runs', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('switchover'));
    for (const event of [STOPPED, RESUMED]) world.dispatch({ type: 'hypervisor', event });
    world.dispatch(over);
    settle(world);
    assert.equal(world.outcome, 'failed');
    assertSourceRuns(world);
    assert.match(world.state.because?.message ?? '', /step switchover took longer/);
  });

  test('a timeout while the memory of a guest running at its destination moves lets it continue', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('drain'));
    world.dispatch(over);
    settle(world);
    assertHandedOver(world);
  });

  test('a timeout after the commit, or during the rollback, changes nothing', () => {
    for (const step of ['commit', 'verify', 'retire'] as const) {
      const world = new World();
      driveUntil(world, isDoing(step));
      world.dispatch(over);
      settle(world);
      assertHandedOver(world);
    }
    const world = new World();
    driveUntil(world, isDoing('memory'));
    world.dispatch({ type: 'cancel' });
    world.dispatch(over);
    settle(world);
    assert.equal(world.outcome, 'cancelled');
  });
});
