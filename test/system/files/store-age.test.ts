import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ageStore, isRestored, storeSince } from '../../../src/system/files/store-age.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const [FIRST, LATER, LAST] = ['2026-01-01T00', '2026-02-01T00', '2026-03-01T00'];

describe("the age of a host's state", () => {
  test("the age of a host's state survives restarts of the agent", (t) => {
    const dir = tempDir(t);
    assert.equal(storeSince(dir), undefined);
    assert.equal(ageStore(dir, FIRST), FIRST);
    assert.equal(ageStore(dir, LATER), FIRST);
    assert.equal(isRestored(dir, FIRST), false);
  });

  test("the age of a host's state restarts if it was created again, or restored from a copy", (t) => {
    const dir = tempDir(t);
    ageStore(path.join(dir), FIRST);
    const backup = path.join(tempDir(t), 'backup');
    cpSync(dir, backup, { recursive: true, preserveTimestamps: true });
    assert.equal(isRestored(backup, FIRST), false, 'nobody has looked yet');
    assert.equal(ageStore(backup, LAST), LAST);
    assert.equal(isRestored(backup, LATER), true);
    assert.equal(ageStore(backup, '2027-01-01T00'), LAST);
    rmSync(path.join(dir, 'store.json'));
    assert.equal(ageStore(dir, LATER), LATER);
  });

  test("the age of a host's state restarts if it cannot be read any more", (t) => {
    const dir = tempDir(t);
    ageStore(dir, FIRST);
    const file = path.join(dir, 'store.json');
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 9));
    assert.equal(ageStore(dir, LATER), LATER);
  });
});
