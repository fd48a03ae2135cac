import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { memoryChecks } from '../../../src/drivers/qemu/host-memory.ts';

const MIB = 1024 ** 2;
const props = { size: 512 * MIB, hugetlb: true, hugetlbsize: 2 * MIB };
const objects = [{ type: 'memory-backend-memfd', id: 'm0', props } as const];

test('a destination with too few free huge pages is refused, with how many to add', async (t) => {
  const counts = mkdtempSync(path.join(tmpdir(), 'godwit-huge-pages-'));
  t.after(() => rmSync(counts, { recursive: true, force: true }));
  const found = async (free: number, reserved: number) => {
    const folder = path.join(counts, 'hugepages-2048kB');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'free_hugepages'), `${free}\n`);
    writeFileSync(path.join(folder, 'resv_hugepages'), `${reserved}\n`);
    return memoryChecks({ objects }, 'b', counts);
  };
  assert.deepEqual(await found(256, 0), []);
  // Those that are promised to others are no room.
  const [short] = await found(256, 6);
  assert.deepEqual(
    [short?.name, short?.verdict, short?.error?.code],
    ['memory', 'refuse', 'GODWIT_HOST_LACKS'],
  );
  assert.match(short?.error?.message ?? '', /256 free huge pages of 2 MiB .*: it has 250/);
  assert.match(short?.error?.hint ?? '', /add 6 to /);
  rmSync(path.join(counts, 'hugepages-2048kB'), { recursive: true });
  const [none] = await memoryChecks({ objects }, 'b', counts);
  assert.match(none?.error?.message ?? '', /it has 0$/);
});
