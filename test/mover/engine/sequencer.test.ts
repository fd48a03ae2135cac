import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Sequencer } from '../../../src/mover/engine/sequencer.ts';

type Event = { readonly type: string };

function laneOf(append: (event: Event) => Promise<void>) {
  const performed: string[] = [];
  const sequencer = new Sequencer<readonly string[], Event, string>(
    {
      journal: { append },
      transition: (state, { type }) => ({ state: [...state, type], effects: [`after ${type}`] }),
      durability: () => 'sync',
      ignores: (state) => state.includes('end'),
      perform: (effect) => void performed.push(effect),
      applied: () => {},
    },
    [],
  );
  return { sequencer, performed };
}

describe('the sequencer', () => {
  test('the sequencer takes events one by one, and none has effects before it is in the journal', async () => {
    const written: string[] = [];
    const { sequencer, performed } = laneOf(async ({ type }) => {
      await Promise.resolve();
      assert.deepEqual(
        performed,
        written.map((each) => `after ${each}`),
      );
      written.push(type);
    });
    sequencer.dispatch({ type: 'one' });
    sequencer.dispatch({ type: 'two' });
    await sequencer.record({ type: 'three' });
    assert.deepEqual(written, ['one', 'two', 'three']);
    assert.deepEqual(sequencer.state, written);
  });

  test('the sequencer drops events after the end', async () => {
    const { sequencer, performed } = laneOf(async () => {});
    await sequencer.record({ type: 'end' });
    await sequencer.record({ type: 'late' });
    assert.deepEqual(performed, ['after end']);
  });

  test('the sequencer stalls, and reports it, once its journal cannot be written', async () => {
    const { sequencer, performed } = laneOf(() => Promise.reject(new Error('the disk is full')));
    await assert.rejects(sequencer.record({ type: 'one' }), /full/);
    await sequencer.record({ type: 'two' });
    await assert.rejects(sequencer.finished, /full/);
    assert.deepEqual([sequencer.state, performed], [[], []]);
  });

  test('the sequencer answers all events in turn', async () => {
    const { sequencer } = laneOf(async () => {});
    sequencer.dispatch({ type: 'one' });
    const seen = await sequencer.inTurn(async (apply) => {
      const before = [...sequencer.state];
      await apply({ type: 'two' });
      return [before, [...sequencer.state]];
    });
    assert.deepEqual(seen, [['one'], ['one', 'two']]);
  });
});
