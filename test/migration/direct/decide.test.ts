import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../../src/migration/direct/decide.ts';
import type { HypervisorStatus } from '../../../src/migration/direct/hypervisor.ts';
import type { SourceState } from '../../../src/migration/direct/source-state.ts';
import { planned } from './samples.ts';
import { World } from './world.ts';

const STREAMS = [
  'none',
  'setup',
  'active',
  'pre-switchover',
  'device',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recovering',
  'completed',
  'cancelled',
  'failed',
] as const satisfies readonly HypervisorStatus['stream'][];

function stateOf(mode: 'precopy' | 'hybrid', via: SourceState['via'] = 'precopy'): SourceState {
  return { ...new World(planned({ mode })).state, via };
}

describe('a mover that begins a step', () => {
  test('starts the stream', () => {
    assert.equal(decide(stateOf('precopy', 'none'), 'memory'), 'start-memory');
  });

  test('lets a held switchover go, and has nothing to do where none is held', () => {
    assert.equal(decide(stateOf('hybrid'), 'switchover'), 'continue-switchover');
    assert.equal(decide(stateOf('precopy'), 'switchover'), 'wait');
  });

  test('switches to post-copy where that was decided', () => {
    assert.equal(decide(stateOf('hybrid', 'postcopy'), 'switchover'), 'start-postcopy');
  });
});

describe('a mover that takes a step over', () => {
  const anyStream = fc.constantFrom(...STREAMS);
  const anyVia = fc.constantFrom('precopy' as const, 'postcopy' as const);
  const anyMode = fc.constantFrom('precopy' as const, 'hybrid' as const);

  test('starts a stream only where none is there: never a second one', () => {
    for (const stream of STREAMS) {
      const action = decide(stateOf('precopy', 'none'), 'memory', stream);
      assert.equal(action === 'start-memory', stream === 'none', stream);
    }
  });

  test('says of a stream that ended without it that it is broken', () => {
    fc.assert(
      fc.property(anyMode, anyVia, fc.constantFrom('memory', 'switchover'), (mode, via, step) => {
        assert.equal(decide(stateOf(mode, via), step, 'failed'), 'broken');
        assert.equal(decide(stateOf(mode, via), step, 'cancelled'), 'broken');
      }),
    );
  });

  test('continues whatever waits at the switch, whichever mover of whichever version set it so', () => {
    fc.assert(
      fc.property(anyMode, anyVia, anyStream, (mode, via, stream) => {
        const action = decide(stateOf(mode, via), 'switchover', stream);
        assert.equal(action === 'continue-switchover', stream === 'pre-switchover');
      }),
    );
  });

  test('orders the switch to post-copy only where it was decided and has not begun', () => {
    fc.assert(
      fc.property(anyMode, anyVia, anyStream, (mode, via, stream) => {
        const action = decide(stateOf(mode, via), 'switchover', stream);
        assert.equal(action === 'start-postcopy', via === 'postcopy' && stream === 'active');
      }),
    );
  });
});
