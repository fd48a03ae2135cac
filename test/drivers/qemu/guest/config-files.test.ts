import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { readConfigFiles, sectionsOf } from '../../../../src/drivers/qemu/guest/config-files.ts';
import { parseCommandLine } from '../../../../src/drivers/qemu/spec/cmdline.ts';

describe('a file of -readconfig', () => {
  test('tells its sections, with their ids where they have one', () => {
    const text =
      '# [drive "no"]\n[device "ehci"]\n  driver = "[x]"\n\n[machine]\n  accel = "kvm"\n';
    assert.deepEqual(sectionsOf(text), [{ type: 'device', id: 'ehci' }, { type: 'machine' }]);
  });

  test('is read where its process found it; one that cannot be read has no sections', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-config-'));
    try {
      await writeFile(path.join(directory, 'a.cfg'), '[device "a"]\n');
      const line = parseCommandLine(['qemu', '-readconfig', 'a.cfg', '-readconfig', 'b.cfg']);
      assert.deepEqual(await readConfigFiles(line, directory), [
        { file: 'a.cfg', sections: [{ type: 'device', id: 'a' }] },
        { file: 'b.cfg' },
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
