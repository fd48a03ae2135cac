import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { OfferedStandbys } from '../../../src/agent/recovery/offered.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const DIGEST = '1'.repeat(64);
const offer = (guest: string, to: string) => ({ guest, to, digest: DIGEST, labelled: true });

test('the record of offers outlives the agent', (t) => {
  const dir = tempDir(t);
  const offered = new OfferedStandbys(dir, silentLog);
  offered.put(offer('web1', 'b'), offer('web1', 'c'));
  offered.put({ ...offer('web1', 'b'), isWithdrawn: true });
  offered.remove({ guest: 'web1', to: 'c' });
  const again = new OfferedStandbys(dir, silentLog);
  assert.deepEqual(again.all(), [{ ...offer('web1', 'b'), isWithdrawn: true }]);
});

test('a record that cannot be read confirms nothing, and the next offer replaces it', (t) => {
  const dir = tempDir(t);
  writeFileSync(path.join(dir, 'offered-standbys.json'), '{"version":2}');
  const offered = new OfferedStandbys(dir, silentLog);
  assert.deepEqual(offered.all(), []);
  offered.put(offer('web1', 'b'));
  assert.equal(new OfferedStandbys(dir, silentLog).all().length, 1);
});
