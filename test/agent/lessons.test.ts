import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lessons } from '../../src/agent/lessons.ts';
import type { Migration } from '../../src/agent/store.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';

const settings = migrationSettings.parse({});

function storeOf() {
  const world = { read: [] as string[], open: new Set<string>(), damaged: new Set<string>() };
  const report = (id: string) => {
    world.read.push(id);
    if (world.damaged.has(id)) throw new Error('its journal is damaged');
    return {
      outcome: 'done',
      finished: 'precopy',
      to: 'b',
      settings,
      phases: [],
      downtimeMs: 40,
    } as never;
  };
  return { world, lessons: new Lessons({ report, isEnded: (id) => !world.open.has(id) }) };
}

const migrations = (...ids: string[]) => ids.map((id) => ({ id })) as unknown as Migration[];

test('the journal of an ended migration is read once, and that of one that goes on each time', () => {
  const { world, lessons } = storeOf();
  world.open.add('m-2');
  const both = migrations('m-1', 'm-2');
  for (let time = 0; time < 3; time += 1)
    assert.deepEqual(
      [...lessons.of(both)].map(({ move }) => move?.downtimeMs),
      [40, 40],
    );
  assert.deepEqual(world.read, ['m-1', 'm-2', 'm-2', 'm-2']);
  // Its guest is taken back: what was kept of its end counts no more.
  world.open.add('m-1');
  void [...lessons.of(both)];
  world.open.clear();
  void [...lessons.of(both)];
  assert.equal(world.read.filter((id) => id === 'm-1').length, 3);
});

test('only as many are read as are wanted, and a damaged journal holds up no other', () => {
  const { world, lessons } = storeOf();
  world.damaged.add('m-1');
  for (const lesson of lessons.of(migrations('m-1', 'm-2', 'm-3'))) {
    assert.equal(lesson.outcome, 'done');
    break;
  }
  assert.deepEqual(world.read, ['m-1', 'm-2']);
});

test('what is kept is bounded', () => {
  const { world, lessons } = storeOf();
  const ids = Array.from({ length: 5000 }, (_, at) => `m-${at}`);
  void [...lessons.of(migrations(...ids))];
  world.read = [];
  void [...lessons.of(migrations('m-4999', 'm-0'))];
  assert.deepEqual(world.read, ['m-0']);
});
