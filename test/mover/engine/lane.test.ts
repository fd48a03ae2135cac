import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Lane } from '../../../src/mover/engine/lane.ts';

type Event = { readonly type: string };

function laneOf(append: (event: Event) => Promise<void>) {
  const performed: string[] = [];
  const lane = new Lane<readonly string[], Event, string>(
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
  return { lane, performed };
}

describe('the lane of a migration', () => {
  test('takes events one by one: none has its effects before it is in the journal', async () => {
    const written: string[] = [];
    const { lane, performed } = laneOf(async ({ type }) => {
      await Promise.resolve();
      assert.deepEqual(
        performed,
        written.map((each) => `after ${each}`),
      );
      written.push(type);
    });
    lane.dispatch({ type: 'one' });
    lane.dispatch({ type: 'two' });
    await lane.record({ type: 'three' });
    assert.deepEqual(written, ['one', 'two', 'three']);
    assert.deepEqual(lane.state, written);
  });

  test('leaves out what comes after the end', async () => {
    const { lane, performed } = laneOf(async () => {});
    await lane.record({ type: 'end' });
    await lane.record({ type: 'late' });
    assert.deepEqual(performed, ['after end']);
  });

  test('stands still, and says so, once its journal cannot be written', async () => {
    const { lane, performed } = laneOf(() => Promise.reject(new Error('the disk is full')));
    await assert.rejects(lane.record({ type: 'one' }), /full/);
    await lane.record({ type: 'two' });
    await assert.rejects(lane.finished, /full/);
    assert.deepEqual([lane.state, performed], [[], []]);
  });

  test('answers in turn with all events', async () => {
    const { lane } = laneOf(async () => {});
    lane.dispatch({ type: 'one' });
    const seen = await lane.inTurn(async (apply) => {
      const before = [...lane.state];
      await apply({ type: 'two' });
      return [before, [...lane.state]];
    });
    assert.deepEqual(seen, [['one'], ['one', 'two']]);
  });
});
