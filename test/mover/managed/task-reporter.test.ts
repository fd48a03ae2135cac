import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { initialManaged } from '../../../src/migration/managed/lifecycle.ts';
import type { TaskSight } from '../../../src/migration/managed/task-sight.ts';
import { reporter } from '../../../src/mover/managed/task-reporter.ts';
import { sampleOf } from '../../migration/direct/samples.ts';
import { planned } from '../../migration/managed/samples.ts';

test('each of the first rounds is journaled once, and only some of very many, as a journal is finite', () => {
  const journaled: ManagedEvent[] = [];
  let shown = 0;
  const { state } = initialManaged(planned());
  const report = reporter({
    state: () => state,
    dispatch: (event) => journaled.push(event),
    live: () => (shown += 1),
  });
  const look = (round: number): void => {
    const task: TaskSight = { state: 'running', memory: sampleOf({ round }) };
    for (let twice = 0; twice < 2; twice += 1) report(task);
  };
  for (let round = 1; round <= 999; round += 1) look(round);
  assert.deepEqual([journaled.length, shown], [999, 999]);
  for (let round = 1000; round <= 100_000; round += 1) look(round);
  assert.ok(journaled.length < 3000, `${journaled.length} records`);
  assert.equal(journaled.length + shown, 200_000, 'whoever follows it sees each');
});
