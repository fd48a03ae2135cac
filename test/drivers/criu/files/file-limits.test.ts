import assert from 'node:assert/strict';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { MAX_DEPTH } from '../../../../src/drivers/criu/changes.ts';
import { command } from '../../../../src/drivers/criu/command.ts';
import {
  countsOf,
  fileLimits,
  tableObstacle,
} from '../../../../src/drivers/criu/files/file-limits.ts';
import type { HostContext } from '../../../../src/drivers/criu/host/host-context.ts';
import { Records } from '../../../../src/drivers/criu/link/records.ts';
import type { Tree } from '../../../../src/drivers/criu/files/trees.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

const PIB = 1024 ** 5;
const signal = AbortSignal.timeout(60_000);

describe('files that cannot be sent', () => {
  let directory: string;
  let records: Records;
  /** What it has run, and what it says to that in the place of the program. */
  let said: string | undefined;
  const runc = {
    run: async (argv: readonly string[], options = {}) =>
      said ?? command(argv, { host: 'a', ...options }),
  } as unknown as HostContext['runc'];
  beforeEach(async () => {
    said = undefined;
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-fits-'));
    records = new Records(path.join(directory, 'records'));
    await mkdir(path.join(directory, 'tree'));
  });
  afterEach(() => removeTree(directory));

  const tree = (more: Partial<Tree> = {}): Tree => {
    const at = path.join(directory, 'tree');
    return { name: 'volume-0', path: at, kind: 'directory', bytes: 4096, ...more };
  };
  const limits = (given: Tree, memoryBytes = 4096) =>
    fileLimits({ host: 'a', runc, records }, [given], memoryBytes, signal);

  test('files are refused beforehand if there are too many to compare, with the number', async () => {
    const most = '      1 0\n 499999 1\n';
    assert.deepEqual(countsOf(most), { files: 500_000, depth: 1 });
    said = most;
    assert.deepEqual(await limits(tree()), []);
    said = `${most}      1 2\n`;
    const [first, ...more] = await limits(tree());
    assert.deepEqual(more, []);
    assert.match(first?.reason ?? '', /has more than 500,000 files/);
    assert.match(first?.device ?? '', /^the volume .*tree$/);
    assert.equal(first?.ofMemory, true, 'cold it goes as a whole');
  });

  test('files are counted on the disk: names with a newline once, and none behind a link', async () => {
    const at = path.join(directory, 'tree');
    for (const name of ['one', 'a\nline', '1 2\n 9 9']) await writeFile(path.join(at, name), '');
    await symlink('/usr', path.join(at, 'away'));
    const seen: string[] = [];
    const watched = {
      run: async (argv: readonly string[], options = {}) => {
        const text = await command(argv, { host: 'a', ...options });
        seen.push(text);
        return text;
      },
    } as unknown as HostContext['runc'];
    assert.deepEqual(
      await fileLimits({ host: 'a', runc: watched, records }, [tree()], 1, signal),
      [],
    );
    assert.deepEqual(countsOf(seen[0] ?? ''), { files: 5, depth: 1 });
  });

  test('files are refused beforehand if directories are nested too deeply', async () => {
    const levels = Array<string>(MAX_DEPTH - 1).fill('d');
    await mkdir(path.join(directory, 'tree', ...levels), { recursive: true });
    assert.deepEqual(await limits(tree()), []);
    await mkdir(path.join(directory, 'tree', ...levels, 'd'));
    const [first] = await limits(tree({ name: 'root' }));
    assert.match(first?.reason ?? '', /more than 256 directories in one another/);
    assert.equal(first?.device, 'its root file system');
  });

  test('files are refused beforehand if there is no room for their archive, or for the dump next to it', async () => {
    const [archive] = await limits(tree({ bytes: PIB }));
    assert.equal(archive?.type, 'room');
    assert.match(archive?.reason ?? '', /it needs 1 PiB, and .* has /);
    assert.equal(archive?.ofMemory, undefined, 'a cold move has an archive too');
    const [both] = await limits(tree(), PIB);
    assert.match(both?.device ?? '', /the dump and the archive/);
    assert.equal(both?.ofMemory, true);
  });
});

test("memory whose pages cannot be compared within the host's free memory is refused, with both figures", () => {
  const GIB = 1024 ** 3;
  assert.equal(tableObstacle('a', 64 * GIB, 8 * GIB), undefined);
  const { reason, ofMemory } = tableObstacle('a', 1024 * GIB, 8 * GIB) ?? {};
  assert.match(reason ?? '', /20(\.0)? GiB of memory are needed.*a has 8(\.0)? GiB free/);
  assert.equal(ofMemory, true, 'cold no memory goes');
});
