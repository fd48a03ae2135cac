import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanOption } from '../../src/protocol/public/plan.ts';
import { chosenOption, moveOptionsOf } from '../../web/src/requests/move-options.ts';

const range = { low: 1, middle: 2, high: 3 };
const option = (mode: PlanOption['mode'], path: PlanOption['path'], streams = 1): PlanOption => ({
  mode,
  path,
  stream: { streams, compress: 'none' },
  level: 0.9,
  bytes: range,
  totalMs: range,
  memoryMs: range,
  rounds: range,
  downtimeMs: range,
  clientGapMs: range,
  converges: { probability: 1, why: 'it writes nothing' },
});

test('each mode and path is listed once, by mode, in the requested form or the best of its kind', () => {
  const options = moveOptionsOf({
    prediction: option('precopy', 'native', 1),
    others: [
      option('postcopy', 'native'),
      option('precopy', 'wire'),
      option('precopy', 'native', 4),
      option('hybrid', 'native', 4),
      option('hybrid', 'native', 1),
    ],
  });
  assert.deepEqual(
    options.map(({ mode, path, stream, isAsked }) => [mode, path, stream.streams, isAsked]),
    [
      ['precopy', 'native', 1, true],
      ['precopy', 'wire', 1, false],
      ['hybrid', 'native', 4, false],
      ['postcopy', 'native', 1, false],
    ],
  );
});

test('a plan that could predict nothing has no options', () => {
  assert.deepEqual(moveOptionsOf({}), []);
});

test('the chosen option is the one that a request would use, even on the wire', () => {
  const others = [option('precopy', 'wire'), option('hybrid', 'native')];
  const options = moveOptionsOf({ prediction: option('precopy', 'native'), others });
  const chosen = (mode: '' | 'hybrid' | 'postcopy', path: '' | 'wire') => {
    const found = chosenOption(options, { mode, path });
    return found && `${found.mode} ${found.path}`;
  };
  assert.equal(chosen('', ''), 'precopy native');
  assert.equal(chosen('', 'wire'), 'precopy wire');
  assert.equal(chosen('hybrid', ''), 'hybrid native');
  assert.equal(chosen('hybrid', 'wire'), undefined);
});
