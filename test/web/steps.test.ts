import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isEnd, mode, phase } from '../../src/protocol/public/migration.ts';
import { stepsOf } from '../../web/src/moves/steps.ts';

const names = (steps: ReturnType<typeof stepsOf>): string[] =>
  steps.map(({ phase: name, state }) => `${name} ${state}`);

describe('the steps of a migration', () => {
  test('the steps of a migration are past with their durations, present, and ahead', () => {
    const gone = [
      { phase: 'checking' as const, ms: 40 },
      { phase: 'preparing' as const, ms: 300 },
    ];
    const steps = stepsOf({ now: 'memory', mode: 'precopy', gone });
    assert.deepEqual(names(steps), [
      'checking gone',
      'preparing gone',
      'memory now',
      'switchover ahead',
      'handover ahead',
      'verifying ahead',
      'cleanup ahead',
    ]);
    assert.deepEqual(
      steps.slice(0, 3).map(({ ms }) => ms),
      [40, 300, undefined],
    );
  });

  test('the steps name disks and backing files only if there are any', () => {
    const steps = stepsOf({ now: 'disks', mode: 'precopy', gone: [{ phase: 'seeding', ms: 9 }] });
    assert.deepEqual(names(steps).slice(0, 4), [
      'checking gone',
      'seeding gone',
      'preparing gone',
      'disks now',
    ]);
  });

  test('the steps end with the undo, with nothing ahead', () => {
    const gone = [{ phase: 'checking' as const, ms: 40 }];
    const steps = stepsOf({ now: 'undoing', mode: 'precopy', gone });
    assert.deepEqual(names(steps), ['checking gone', 'undoing now']);
  });

  test('at most one step is present, and none ahead of a past one', () => {
    const gone = fc.array(
      fc.record({ phase: fc.constantFrom(...phase.options), ms: fc.nat(1000) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...phase.options.filter((each) => !isEnd(each))),
        fc.constantFrom(...mode.options),
        gone,
        (now, how, passed) => {
          const states = stepsOf({ now, mode: how, gone: passed }).map(({ state }) => state);
          assert.ok(states.filter((each) => each === 'now').length <= 1);
          const order = states.map((each) => ['gone', 'now', 'ahead'].indexOf(each));
          assert.deepEqual(
            order,
            order.toSorted((one, other) => one - other),
          );
        },
      ),
    );
  });
});
