import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const skip = process.getuid?.() === 0 ? false : 'a namespace with others in it takes root';

/** In namespaces of its own, which go away with the process: nothing can be left behind. */
test(
  'a path that drops full packets is detected, unlike a silent one or one with known MTU',
  { skip },
  async () => {
    const steps = path.join(import.meta.dirname, 'path-size-steps.ts');
    const { stdout } = await run('unshare', ['--net', '--mount', process.execPath, steps]);
    const seen = JSON.parse(stdout) as Record<string, boolean>;
    assert.deepEqual(seen, { sound: false, narrow: true, known: false, silent: false });
  },
);
