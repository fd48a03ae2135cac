import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { storedIn, takenBytes } from '../../../faults/disks/storage.ts';

describe("files on a host's storage", () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-stored-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  mkdirSync(path.join(directory, 'web1'));
  const image = path.join(directory, 'web1', 'disk1.raw');
  writeFileSync(image, Buffer.alloc(65_536, 1));
  writeFileSync(path.join(directory, 'web1', 'disk0-base.qcow2'), Buffer.alloc(4096, 2));

  test('a stored file is identified by name, with the hash of read-only data', () => {
    const stored = storedIn(directory);
    assert.deepEqual([...stored.keys()].toSorted(), [
      'web1',
      'web1/disk0-base.qcow2',
      'web1/disk1.raw',
    ]);
    assert.equal(stored.get('web1')?.directory, true);
    const hash = (): string | undefined => storedIn(directory).get('web1/big.raw')?.sha256;
    const big = path.join(directory, 'web1', 'big.raw');
    const bytes = Buffer.alloc(2 * 1024 ** 2, 1);
    writeFileSync(big, bytes);
    const was = hash();
    // In the first MiB the guest writes, in the second it does not.
    writeFileSync(big, bytes.fill(2, 0, 4096));
    assert.equal(hash(), was);
    writeFileSync(big, bytes.fill(2, 1024 ** 2, 1024 ** 2 + 1));
    assert.notEqual(hash(), was);
    rmSync(big);
    assert.match(stored.get('web1/disk0-base.qcow2')?.sha256 ?? '', /^[0-9a-f]{64}$/);
  });

  test('a stored file is counted once, even while it has two names', () => {
    const once = takenBytes(directory, /^disk\d+\.raw$/);
    assert.ok(once >= 65_536);
    const second = path.join(directory, 'web1', '.godwit-m-1-0');
    linkSync(image, second);
    assert.equal(storedIn(directory).get('web1/disk1.raw')?.links, 2);
    assert.equal(takenBytes(directory, /^(disk\d+\.raw|\.godwit-.*)$/), once);
    rmSync(second);
  });
});
