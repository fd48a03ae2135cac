import assert from 'node:assert/strict';
import { test } from 'node:test';
import { movesTo } from '../../../src/migration/prediction/own-moves.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { report } from '../../cli/fake.ts';

test('no lesson is learned from moves to another host, failed ones, or ones without a downtime', () => {
  const settings = migrationSettings.parse({ streams: 4 });
  const move = report({
    outcome: 'done',
    finished: 'precopy',
    settings,
    downtimeMs: 70,
    to: 'b',
    stream: undefined,
    prediction: undefined,
  });
  const all = [
    move,
    { ...move, to: 'c' },
    { ...move, outcome: 'failed' as const },
    { ...move, finished: 'none' as const },
    { ...move, downtimeMs: undefined },
  ];
  const { maxDowntimeMs } = settings;
  assert.deepEqual(movesTo('b', all), [
    { finished: 'precopy', byWire: false, several: true, maxDowntimeMs, downtimeMs: 70, off: {} },
  ]);
});
