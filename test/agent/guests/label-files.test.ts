import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { LabelFiles, withLabels, type KeptLabels } from '../../../src/agent/guests/label-files.ts';
import { hasCode } from '../../../src/errors.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const NONE: KeptLabels = { kept: new Map(), expected: [] };
const labelled = (guest: string, team: string, before = NONE): KeptLabels => ({
  ...before,
  kept: withLabels(before.kept, guest, { team }),
});

function place(t: TestContext) {
  const stateDir = tempDir(t);
  const [file, log] = ['json', 'log'].map((end) => path.join(stateDir, `guest-labels.${end}`));
  return { stateDir, file: file ?? '', log: log ?? '' };
}

test('written labels are read, wherever the agent ended while it rewrote the file', (t) => {
  const guest = fc.constantFrom('web1', 'web2', 'web3');
  const step = fc.record({
    guest,
    team: fc.constantFrom('', 'a', 'b'),
    expects: fc.option(guest, { nil: undefined }),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.nat(12), (steps, foldedAt) => {
      const { stateDir, file, log } = place(t);
      const files = new LabelFiles(stateDir);
      let now = files.read();
      let folded = now;
      for (const [at, { guest: name, team, expects, ends }] of steps.entries()) {
        const all = withLabels(now.kept, name, team === '' ? {} : { team });
        const open = ends ? [] : now.expected;
        const more = expects && ([`m-${String(at).padStart(8, '0')}`, expects, { team }] as const);
        const next = { kept: all, expected: more ? [...open, [...more] as const] : open };
        files.write(now, next as KeptLabels);
        now = next as KeptLabels;
        // A log that begins again leads on from the labels of that moment.
        if (at === foldedAt || !existsSync(log)) folded = now;
      }
      // The file may have any of the states that the log leads through.
      if (existsSync(log))
        writeFileSync(file, JSON.stringify({ kept: [...folded.kept], expected: folded.expected }));
      const again = new LabelFiles(stateDir).read();
      assert.deepEqual(new Map(again.kept), new Map(now.kept));
      assert.deepEqual(new Set(again.expected), new Set(now.expected));
    }),
  );
});

test('a truncated line does not count, and a damaged one keeps the agent from starting', (t) => {
  const { stateDir, log } = place(t);
  const files = new LabelFiles(stateDir);
  const one = labelled('web1', 'a', files.read());
  files.write(NONE, one);
  const { length } = readFileSync(log);
  files.write(one, labelled('web2', 'b', one));
  truncateSync(log, length + 10);
  assert.deepEqual([...new LabelFiles(stateDir).read().kept], [['web1', { team: 'a' }]]);
  assert.equal(existsSync(log), false);
  appendFileSync(log, '{"ended":[\n{"ended":[],"kept":[],"expected":[]}\n');
  assert.throws(
    () => new LabelFiles(stateDir).read(),
    (thrown) => hasCode(thrown, 'GODWIT_CONFIG') && /guest-labels\.log/.test(thrown.message),
  );
});

test('a change during the rewrite of the file is not lost, and stays in the log', async (t) => {
  const { stateDir, file, log } = place(t);
  const files = new LabelFiles(stateDir);
  const one = labelled('web1', 'a', files.read());
  files.write(NONE, one);
  const fold = files.fold(one);
  const two = labelled('web2', 'b', one);
  files.write(one, two);
  await fold;
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { kept: [...one.kept], expected: [] });
  assert.equal(existsSync(log), true);
  await files.fold(two);
  assert.equal(existsSync(log), false);
  assert.deepEqual([...new LabelFiles(stateDir).read().kept], [...two.kept]);
});

test('labels that are removed during the rewrite of the file do not return with it', async (t) => {
  const { stateDir } = place(t);
  const files = new LabelFiles(stateDir);
  const one = labelled('web1', 'a', files.read());
  files.write(NONE, one);
  const fold = files.fold(one);
  files.write(one, NONE);
  await fold;
  assert.deepEqual([...new LabelFiles(stateDir).read().kept], []);
});

test('an earlier build finds all labels in the file once the agent has ended', (t) => {
  const { stateDir, file, log } = place(t);
  const files = new LabelFiles(stateDir);
  const one = labelled('web1', 'a', files.read());
  files.write(NONE, one);
  assert.equal(existsSync(file), false);
  files.close(one);
  assert.equal(existsSync(log), false);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { kept: [...one.kept], expected: [] });
});
