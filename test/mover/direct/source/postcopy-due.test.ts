import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import {
  MemorySteering,
  type SteeringDependencies,
} from '../../../../src/mover/direct/source/stream/memory-steering.ts';
import { planned, sampleOf } from '../../../migration/direct/samples.ts';
import { UNCAPPED } from './answers.ts';

describe('due post-copy', () => {
  test('post-copy is decided once the destination is ready for it; until then each look asks again', async () => {
    const state: SourceState = {
      ...initialSource(planned({ mode: 'postcopy' })).state,
      doing: { kind: 'do', step: 'memory' },
    };
    const recorded: SourceEvent[] = [];
    let answers = false;
    let step: 'memory' | 'switchover' = 'memory';
    const context: unknown = {
      ...UNCAPPED,
      state: () => state,
      underWay: { saw: () => {}, msOf: () => 0 },
      pace: { saw: async () => {}, empty: async () => true, fill: async () => {} },
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
    const steering = new MemorySteering(recorder, systemClock);
    const look = (): Promise<void> =>
      steering.look(
        context as SteeringDependencies,
        sampleOf(),
        60_000,
        new AbortController().signal,
      );
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

  test('post-copy starts once the link has sent the queue, unless that showed that it cannot start', async () => {
    const due = async (given: {
      empty?: boolean;
      goesAway?: boolean;
      isOver?: boolean;
      breaks?: boolean;
    }) => {
      const { empty: isEmpty = true, goesAway = false, isOver = false, breaks = false } = given;
      const disks = { holdsSwitch: false };
      let state: SourceState = {
        ...initialSource(planned({ mode: 'postcopy' })).state,
        doing: { kind: 'do', step: 'memory' },
      };
      const said: string[] = [];
      let isThere = true;
      const pace = {
        saw: async () => {},
        empty: async () => {
          said.push('emptied');
          isThere = !goesAway;
          disks.holdsSwitch = breaks;
          // The guest has stopped by itself meanwhile: pre-copy came to its end.
          if (isOver) state = { ...state, stopped: true };
          return isEmpty;
        },
        fill: async () => void said.push('filled'),
      };
      const context: unknown = {
        ...UNCAPPED,
        disks,
        state: () => state,
        underWay: { saw: () => {}, msOf: () => 0 },
        pace,
        dataPath: { isCut: false },
        peer: {
          resume: () => {},
          once: async () => {
            if (!isThere) throw new Error('nobody listens there');
            return { state: 'armed', hypervisor: 'incoming' };
          },
        },
        guest: { session: async () => ({ levers: async () => ['postcopy'] }) },
      };
      const recorder = {
        get state(): SourceState {
          return state;
        },
        record: async (event: SourceEvent): Promise<void> => void said.push(event.type),
      };
      const steering = new MemorySteering(recorder, systemClock);
      const { signal } = new AbortController();
      await steering.look(context as SteeringDependencies, sampleOf(), 60_000, signal);
      return [said.join(', '), steering.isWaiting];
    };
    assert.deepEqual(await due({}), ['emptied, decided', false]);
    assert.deepEqual(await due({ empty: false }), ['emptied, filled', true]);
    assert.deepEqual(await due({ goesAway: true }), ['emptied, filled', true]);
    assert.deepEqual(await due({ isOver: true }), ['emptied', false]);
    // A disk lost its path meanwhile: what pre-copy sends is held back until it has one.
    assert.deepEqual(await due({ empty: false, breaks: true }), ['emptied', true]);
  });
});
