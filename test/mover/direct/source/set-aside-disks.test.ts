import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import type { SourceState } from '../../../../src/migration/direct/source-state.ts';
import { giveUpDisks } from '../../../../src/mover/direct/source/set-aside-disks.ts';
import { planned } from '../../../migration/direct/samples.ts';

describe('the images of disks that were copied', () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'godwit-left-'));
    file = path.join(directory, 'disk0.raw');
    await writeFile(file, 'the guest’s');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const stateOf = (keepSource: boolean): SourceState => {
    const { state } = initialSource(planned({ keepSource }));
    return { ...state, known: { copied: [file] } };
  };

  test('are removed once the guest runs elsewhere, also when that is done twice', async () => {
    const facts = await giveUpDisks(stateOf(false), 'm1');
    await giveUpDisks(stateOf(false), 'm1');
    assert.deepEqual(await readdir(directory), []);
    assert.match(facts.checks?.[0]?.evidence ?? '', /^removed: .*disk0\.raw$/);
  });

  test('are kept under a name that nobody takes for the guest’s disk, where that was asked for', async () => {
    const facts = await giveUpDisks(stateOf(true), 'm1');
    await giveUpDisks(stateOf(true), 'm1');
    assert.deepEqual(await readdir(directory), ['disk0.raw.moved-m1']);
    assert.equal(await readFile(`${file}.moved-m1`, 'utf8'), 'the guest’s');
    assert.match(facts.checks?.[0]?.evidence ?? '', /^kept as NAME\.moved-m1/);
  });

  for (const verdict of ['equal', 'different', 'unverified'] as const) {
    test(`that were compared and found ${verdict} ${verdict === 'equal' ? 'go' : 'stay'}`, async () => {
      const figures = { comparedBytes: 1, excludedBytes: 0, differentBytes: 0, tookMs: 1 };
      const { plan, known } = stateOf(false);
      const diskCheck = { verdict, ...figures };
      await giveUpDisks({ plan, known: { ...known, diskCheck } }, 'm1');
      const left = verdict === 'equal' ? [] : ['disk0.raw.moved-m1'];
      assert.deepEqual(await readdir(directory), left);
    });
  }

  test('that a mover which died had renamed already are removed by the next one', async () => {
    await giveUpDisks(stateOf(true), 'm1');
    await giveUpDisks(stateOf(false), 'm1');
    assert.deepEqual(await readdir(directory), []);
  });

  test('are no business of a migration that copied none', async () => {
    const { state } = initialSource(planned());
    assert.deepEqual(await giveUpDisks(state, 'm1'), {});
    assert.deepEqual(await readdir(directory), ['disk0.raw']);
  });
});
