import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamChange } from '../../../../src/drivers/port/direct.ts';
import { silentLog } from '../../../../src/log.ts';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import type { SourceEvent, SourceState } from '../../../../src/migration/direct/source-state.ts';
import { transition } from '../../../../src/migration/direct/transition.ts';
import {
  MemorySteering,
  setSteering,
} from '../../../../src/mover/direct/source/memory-steering.ts';
import type { SourceContext } from '../../../../src/mover/direct/source/source-context.ts';
import { planned, sampleOf } from '../../../migration/direct/samples.ts';

const inMemory: SourceState = {
  ...initialSource(planned({ steering: 'no-postcopy' })).state,
  doing: { kind: 'do', step: 'memory' },
};

/** A throttle was decided; what the hypervisor was asked for, and what came of it. */
async function afterThrottle(
  adjust: (change: StreamChange) => Promise<void>,
): Promise<SourceEvent[]> {
  const change = { of: 'throttlePercent', from: 0, to: 20 } as const;
  const { state } = transition(inMemory, { type: 'decided', what: 'throttle', why: 'so', change });
  const events: SourceEvent[] = [];
  const context: unknown = {
    state: () => state,
    dispatch: (event: SourceEvent) => events.push(event),
    guest: { session: async () => ({ adjust }) },
  };
  await setSteering(context as SourceContext, silentLog, new AbortController().signal);
  return events;
}

describe('a setting of the stream', () => {
  test('that was taken is reported to nobody: it is in the journal since it was decided', async () => {
    const reported: StreamChange[] = [];
    const events = await afterThrottle(async (change) => {
      reported.push(change);
    });
    assert.deepEqual([events, reported], [[], [{ throttlePercent: 20 }]]);
  });

  test('that failed is journaled as not set', async () => {
    const events = await afterThrottle(async () => {
      throw new Error('the monitor is gone');
    });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['unset'],
    );
  });
});

describe('post-copy that is due', () => {
  test('is decided once the destination is ready for it; until then each look asks anew', async () => {
    const state: SourceState = {
      ...initialSource(planned({ mode: 'postcopy' })).state,
      doing: { kind: 'do', step: 'memory' },
    };
    const recorded: SourceEvent[] = [];
    let answers = false;
    let step: 'memory' | 'switchover' = 'memory';
    const context: unknown = {
      state: () => state,
      dataPath: { isCut: false },
      peer: {
        resume: () => {},
        once: async () => {
          if (!answers) throw new Error('nobody listens there');
          return { state: 'armed', hypervisor: 'incoming' };
        },
      },
      guest: { session: async () => ({ levers: async () => ['postcopy'] }) },
    };
    const record = async (event: SourceEvent): Promise<void> => void recorded.push(event);
    const recorder = {
      get state(): SourceState {
        return { ...state, doing: { kind: 'do', step } };
      },
      record,
    };
    const steering = new MemorySteering(recorder);
    const look = (): Promise<void> =>
      steering.look(context as SourceContext, sampleOf(), 60_000, new AbortController().signal);
    await look();
    await look();
    assert.deepEqual([recorded, steering.isWaiting], [[], true]);
    // Memory came to its end meanwhile: nothing waits any more.
    step = 'switchover';
    await look();
    assert.deepEqual([recorded, steering.isWaiting], [[], false]);
    step = 'memory';
    answers = true;
    await look();
    assert.equal(steering.isWaiting, false);
    assert.deepEqual(
      recorded.map((event) => (event.type === 'decided' ? event.what : event.type)),
      ['postcopy'],
    );
  });
});
