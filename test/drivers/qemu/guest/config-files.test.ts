import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { readConfigFiles, sectionsOf } from '../../../../src/drivers/qemu/guest/config-files.ts';
import { parseCommandLine } from '../../../../src/drivers/qemu/spec/cmdline.ts';

describe('a file of -readconfig', () => {
  test('a file yields its sections, with their ids if they have one', () => {
    const text =
      '# [drive "no"]\n[device "ehci"]\n  driver = "[x]"\n\n[machine]\n  accel = "kvm"\n';
    assert.deepEqual(sectionsOf(text), [{ type: 'device', id: 'ehci' }, { type: 'machine' }]);
  });

  test('a file is read where its process found it; an unreadable one yields a reason instead of sections', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-config-'));
    try {
      await writeFile(path.join(directory, 'a.cfg'), '[device "a"]\n');
      const line = parseCommandLine(['qemu', '-readconfig', 'a.cfg', '-readconfig', 'b.cfg']);
      assert.deepEqual(readConfigFiles(line, directory), [
        { file: 'a.cfg', sections: [{ type: 'device', id: 'a' }] },
        { file: 'b.cfg', problem: 'its file cannot be read, or is no plain file' },
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('a file must be a plain file: a pipe, device, directory or link is not read', async (t) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-config-'));
    t.after(() => rm(directory, { recursive: true }));
    await writeFile(path.join(directory, 'a.cfg'), '[device "a"]\n');
    await symlink('a.cfg', path.join(directory, 'link'));
    execFileSync('mkfifo', [path.join(directory, 'pipe')]);
    for (const file of ['link', 'pipe', '.', '/dev/zero', '']) {
      const line = parseCommandLine(['qemu', '-readconfig', file]);
      assert.deepEqual(readConfigFiles(line, directory), [
        { file, problem: 'its file cannot be read, or is no plain file' },
      ]);
    }
  });

  test('a file with too many bytes, sections or other files next to it is refused by name', async (t) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-config-'));
    t.after(() => rm(directory, { recursive: true }));
    const file = path.join(directory, 'a.cfg');
    const read = (count = 1) => {
      const words = Array.from({ length: count }, () => ['-readconfig', file]).flat();
      return readConfigFiles(parseCommandLine(['qemu', ...words]), '/').at(-1);
    };
    const problem = 'its file has more than 1048576 bytes or 1024 sections';
    await writeFile(file, '[device "a"]\n');
    await truncate(file, 1024 * 1024);
    assert.equal(read()?.sections?.length, 1);
    await truncate(file, 1024 * 1024 + 1);
    assert.deepEqual(read(), { file, problem });
    await writeFile(file, '[a]\n'.repeat(1024));
    assert.equal(read()?.sections?.length, 1024);
    assert.deepEqual(read(17), { file, problem: 'it is one of more than 16 files' });
    await writeFile(file, '[a]\n'.repeat(1025));
    assert.deepEqual(read(), { file, problem });
  });
});
