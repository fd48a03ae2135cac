import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  POINT_OF_NO_RETURN,
  LAST_REHEARSED,
  STEPS,
  STEP_NAMES,
  isBeforeNoReturn,
  nextStep,
  stepIndex,
  undoAtOrBefore,
  undoBefore,
} from '../../../src/migration/direct/steps.ts';
import { isEnd, phase } from '../../../src/protocol/public/migration.ts';

describe('the table of steps', () => {
  test('says for each how it is undone, or why it is not', () => {
    for (const name of STEP_NAMES) {
      const { undo, noUndo } = STEPS[name];
      assert.equal(undo === undefined, noUndo !== undefined, name);
    }
  });

  test('undoes nothing from the point of no return on', () => {
    for (const name of STEP_NAMES) {
      if (!isBeforeNoReturn(name)) assert.equal(STEPS[name].undo, undefined, name);
    }
    assert.equal(isBeforeNoReturn(POINT_OF_NO_RETURN), false);
    assert.equal(isBeforeNoReturn('switchover'), true);
  });

  test('goes through the phases in their order', () => {
    const places = STEP_NAMES.map((name) => phase.options.indexOf(STEPS[name].phase));
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
    );
    assert.ok(STEP_NAMES.every((name) => !isEnd(STEPS[name].phase)));
  });

  test('gives each step a deadline', () => {
    for (const name of STEP_NAMES) {
      const { deadline } = STEPS[name];
      assert.ok(typeof deadline === 'string' || (deadline > 0 && deadline <= 120_000), name);
    }
  });
});

describe('the way through the steps', () => {
  test('leads from the first to the last', () => {
    const way = [];
    for (let at: (typeof STEP_NAMES)[number] | undefined = STEP_NAMES[0]; at; at = nextStep(at)) {
      way.push(at);
    }
    assert.deepEqual(way, [...STEP_NAMES]);
    assert.equal(stepIndex('finish'), STEP_NAMES.length - 1);
  });

  test('leads back over every step that has an undo, in reverse', () => {
    const way = [];
    for (let at = undoAtOrBefore('switchover'); at !== undefined; at = undoBefore(at)) way.push(at);
    const undoable = STEP_NAMES.filter((name) => STEPS[name].undo !== undefined);
    assert.deepEqual(way, undoable.toReversed());
  });
});

describe('a rehearsal', () => {
  test('has no step that moves the right to run, stops the guest or comes after that', () => {
    const rehearsed = STEP_NAMES.filter((name) => STEPS[name].rehearsed);
    assert.equal(rehearsed.at(-1), LAST_REHEARSED);
    assert.ok(rehearsed.every((name) => isBeforeNoReturn(name)));
    for (const name of ['arm', 'switchover', POINT_OF_NO_RETURN] as const) {
      assert.ok(!rehearsed.includes(name), name);
    }
  });
});
