import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lessons } from '../../../src/agent/migrations/lessons.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';

const settings = migrationSettings.parse({});

function storeOf() {
  const world = {
    read: [] as string[],
    outcomes: {} as Record<string, string>,
    damaged: new Set<string>(),
  };
  const report = (id: string) => {
    world.read.push(id);
    if (world.damaged.has(id)) throw new Error('its journal is damaged');
    return {
      outcome: world.outcomes[id] ?? 'done',
      finished: 'precopy',
      to: 'b',
      settings,
      phases: [],
      downtimeMs: 40,
    } as never;
  };
  return { world, lessons: new Lessons({ report }) };
}

const migrations = (...ids: string[]) => ids.map((id) => ({ id })) as unknown as Migration[];

test('the journal of an ended migration is read once, and an active or resolvable one is read each time', () => {
  const { world, lessons } = storeOf();
  world.outcomes = { 'm-2': 'running', 'm-3': 'held' };
  const all = migrations('m-1', 'm-2', 'm-3');
  const paused = () => [...lessons.of(all)].map(({ move }) => move?.downtimeMs);
  assert.deepEqual(paused(), [40, undefined, undefined]);
  world.outcomes = {};
  assert.deepEqual(paused(), [40, 40, 40]);
  assert.deepEqual(paused(), [40, 40, 40]);
  assert.deepEqual(world.read, ['m-1', 'm-2', 'm-3', 'm-2', 'm-3']);
});

test('only the requested number of journals is read, and a damaged journal does not block another', () => {
  const { world, lessons } = storeOf();
  world.damaged.add('m-1');
  for (const lesson of lessons.of(migrations('m-1', 'm-2', 'm-3'))) {
    assert.equal(lesson.outcome, 'done');
    break;
  }
  assert.deepEqual(world.read, ['m-1', 'm-2']);
});

test('the cache of lessons is bounded', () => {
  const { world, lessons } = storeOf();
  const ids = Array.from({ length: 5000 }, (_, at) => `m-${at}`);
  void [...lessons.of(migrations(...ids))];
  world.read = [];
  void [...lessons.of(migrations('m-4999', 'm-0'))];
  assert.deepEqual(world.read, ['m-0']);
});
