import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../../../src/migration/direct/source/decide.ts';
import type { HypervisorStatus } from '../../../../src/migration/direct/hypervisor.ts';
import type { SourceState } from '../../../../src/migration/direct/source/source-state.ts';
import { planned } from '../samples.ts';
import { World } from '../world.ts';

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
  test('a mover that begins the transfer starts the stream', () => {
    assert.equal(decide(stateOf('precopy', 'none'), 'memory'), 'start-memory');
  });

  test('a mover releases a held switchover, and does nothing if none is held', () => {
    assert.equal(decide(stateOf('hybrid'), 'switchover'), 'continue-switchover');
    assert.equal(decide(stateOf('precopy'), 'switchover'), 'wait');
  });

  test('a mover switches to post-copy if that was decided', () => {
    assert.equal(decide(stateOf('hybrid', 'postcopy'), 'switchover'), 'start-postcopy');
  });
});

describe('a mover that takes over', () => {
  const anyStream = fc.constantFrom(...STREAMS);
  const anyVia = fc.constantFrom('precopy' as const, 'postcopy' as const);
  const anyMode = fc.constantFrom('precopy' as const, 'hybrid' as const);

  test('a mover that takes over starts a stream only if there is none', () => {
    for (const stream of STREAMS) {
      const action = decide(stateOf('precopy', 'none'), 'memory', stream);
      assert.equal(action === 'start-memory', stream === 'none', stream);
    }
  });

  test('a mover that takes over reports a stream that ended without it as broken', () => {
    fc.assert(
      fc.property(anyMode, anyVia, fc.constantFrom('memory', 'switchover'), (mode, via, step) => {
        assert.equal(decide(stateOf(mode, via), step, 'failed'), 'broken');
        assert.equal(decide(stateOf(mode, via), step, 'cancelled'), 'broken');
      }),
    );
  });

  test('a mover that takes over continues any stream that waits at the switch, whichever version set it', () => {
    fc.assert(
      fc.property(anyMode, anyVia, anyStream, (mode, via, stream) => {
        const action = decide(stateOf(mode, via), 'switchover', stream);
        assert.equal(action === 'continue-switchover', stream === 'pre-switchover');
      }),
    );
  });

  test('a mover that takes over orders post-copy only if it was decided and has not begun', () => {
    fc.assert(
      fc.property(anyMode, anyVia, anyStream, (mode, via, stream) => {
        const action = decide(stateOf(mode, via), 'switchover', stream);
        assert.equal(action === 'start-postcopy', via === 'postcopy' && stream === 'active');
      }),
    );
  });
});
