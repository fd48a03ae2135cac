import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { bootId } from '../../src/system/processes/process.ts';
import { bootIdFile, withBootId } from '../../lab/boot-id.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

describe('the boot id of a host of the lab', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-boot-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const argv = ['cat', '/proc/sys/kernel/random/boot_id'];

  test("a lab host has the machine's boot id until a power loss", () => {
    assert.deepEqual(withBootId({ dir }, argv), argv);
  });

  test(
    'a lab host later has a separate boot id, for its processes only',
    { skip: !isRoot },
    async () => {
      const before = bootId();
      writeFileSync(bootIdFile({ dir }), 'boot-2\n');
      const { stdout } = await run('unshare', ['--mount', ...withBootId({ dir }, argv)]);
      assert.equal(stdout, 'boot-2\n');
      assert.equal(bootId(), before);
    },
  );
});
