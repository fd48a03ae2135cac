import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { STEPS, STEP_NAMES, type StepName } from '../../src/migration/direct/steps.ts';
import { FORWARD_ATTEMPTS } from '../../src/migration/direct/transition.ts';
import { phase } from '../../src/protocol/public/migration.ts';
import { driveUntil, settle } from '../migration/direct/drive.ts';
import { askedFor, isDoing, isOfDisks } from '../migration/direct/endings.ts';
import { errorOf, planned } from '../migration/direct/samples.ts';
import { World } from '../migration/direct/world.ts';

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/lifecycle.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.slice(2, -2).split(' | '));

const DEADLINES: Readonly<Record<string, string>> = {
  timeout: '`timeout`',
  asked: 'the moment asked for',
};

/** The row of the page that the code makes, without its last cell. */
function rowOf(name: StepName): string[] {
  const { phase: at, does, endsBy, deadline, undo, noUndo } = STEPS[name];
  return [
    `\`${name}\``,
    at,
    does,
    endsBy === 'handler' ? 'it is done' : 'the hypervisor says so',
    DEADLINES[deadline] ?? `${Number(deadline) / 1000} s`,
    undo ?? `none: ${noUndo}`,
  ];
}

/** What a migration ends as when that step always fails. */
function outcomeOfFailing(name: StepName): string {
  const mode = name === 'drain' ? 'postcopy' : 'precopy';
  const world = new World(planned({ mode, ...askedFor(name) }), isOfDisks(name));
  driveUntil(world, isDoing(name));
  for (let count = 0; count < FORWARD_ATTEMPTS && isDoing(name)(world); count += 1) {
    world.answer('before', errorOf());
  }
  settle(world);
  return world.outcome;
}

describe('docs/lifecycle.md', () => {
  test('has the table of steps as it is', () => {
    assert.deepEqual(
      rows.map((row) => row.slice(0, -1)),
      STEP_NAMES.map(rowOf),
    );
  });

  test('says for each step where its error leads', () => {
    for (const [index, name] of STEP_NAMES.entries()) {
      assert.match(rows[index]?.at(-1) ?? '', new RegExp(`\`${outcomeOfFailing(name)}\``), name);
    }
  });

  test('draws every phase that a migration passes through', () => {
    const drawing = /```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const shown = phase.options.filter((one) => one !== 'planned' && one !== 'lost');
    for (const one of shown) assert.match(drawing, new RegExp(`\\b${one}\\b`));
  });
});
