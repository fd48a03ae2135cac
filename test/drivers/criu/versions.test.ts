import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { criuOptions } from '../../../src/drivers/criu/options.ts';
import { Runc } from '../../../src/drivers/criu/runtimes/runc.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

const SIGNAL = new AbortController().signal;

test('checks that ask for versions at once share one answer, and a failure is not an answer', async () => {
  const programs = await mkdtemp(path.join(os.tmpdir(), 'godwit-versions-'));
  const asked = path.join(programs, 'asked');
  const script = async (name: string, says: string): Promise<void> => {
    await writeFile(path.join(programs, name), `#!/bin/sh\necho ${name} >>${asked}\n${says}\n`);
    await chmod(path.join(programs, name), 0o755);
  };
  try {
    await script('runc', 'echo runc version 1.3.6');
    await script('criu', 'exit 1');
    const runc = new Runc('a', criuOptions.parse({ programs }), programs);
    await assert.rejects(runc.versions(SIGNAL));
    await rm(asked);
    await script('criu', 'echo Version: 4.2.1');
    const given = new AbortController();
    const gives = runc.versions(given.signal);
    const others = [runc.versions(SIGNAL), runc.versions(SIGNAL)];
    given.abort(new Error('enough'));
    await assert.rejects(gives, /enough/);
    for (const each of await Promise.all(others))
      assert.deepEqual(each, { runc: '1.3.6', criu: '4.2.1' });
    assert.deepEqual((await readFile(asked, 'utf8')).trim().split('\n').toSorted(), [
      'criu',
      'runc',
    ]);
  } finally {
    await removeTree(programs);
  }
});
