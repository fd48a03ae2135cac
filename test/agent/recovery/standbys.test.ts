import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Standbys } from '../../../src/agent/recovery/standbys.ts';
import { standbyOffer } from '../../../src/protocol/peer/standby.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const KEY = 'ab'.repeat(32);
const AT = '2026-11-24T10:00:00.000Z';

const offer = (guest: string, from = 'a', memoryBytes = 7) =>
  standbyOffer.parse({
    admission: { id: 'c-0000000000000001', guest, from, memoryBytes, epoch: 1, timeoutMs: 1 },
    preparation: {
      epoch: 1,
      description: {
        driver: 'fake',
        name: guest,
        memoryBytes,
        vcpus: 1,
        hypervisorVersion: '1',
        spec: {},
      },
      stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    },
  });

test('what is kept of a guest outlives the agent, and the newest counts', (t) => {
  const dir = tempDir(t);
  const kept = new Standbys(dir, 'b');
  kept.keep(offer('web1'), KEY, AT);
  kept.keep(offer('web1', 'a', 8), KEY, AT);
  kept.keep(offer('web1', 'c'), KEY, AT);
  const again = new Standbys(dir, 'b');
  const listed = again.list().map(({ from, memoryBytes }) => `${from} ${memoryBytes}`);
  assert.deepEqual(listed.toSorted(), ['a 8', 'c 7']);
  assert.equal(again.need('a', 'web1').placeKey, KEY);
  again.forget('a', 'web1');
  assert.throws(() => again.need('a', 'web1'), { code: 'GODWIT_STANDBY_NONE' });
  assert.equal(new Standbys(dir, 'b').list().length, 1);
});

test('a file that is damaged, or another guest’s, starts nothing', (t) => {
  const dir = tempDir(t);
  const kept = new Standbys(dir, 'b');
  kept.keep(offer('web1'), KEY, AT);
  kept.keep(offer('web2'), KEY, AT);
  writeFileSync(path.join(dir, 'standbys', 'a', 'web1.json'), '{"version":1');
  const other = JSON.stringify({ ...offer('web3'), version: 1, keptAt: AT, placeKey: KEY });
  writeFileSync(path.join(dir, 'standbys', 'a', 'web2.json'), other);
  for (const guest of ['web1', 'web2'])
    assert.throws(() => new Standbys(dir, 'b').need('a', guest), { code: 'GODWIT_STANDBY_NONE' });
});

test('one host fills no other host’s disk with guests', (t) => {
  const kept = new Standbys(tempDir(t), 'b', 8);
  for (let index = 0; index < 8; index += 1) kept.keep(offer(`g${index}`), KEY, AT);
  assert.throws(() => kept.keep(offer('more'), KEY, AT), { code: 'GODWIT_OVERLOADED' });
  kept.keep(offer('g7', 'a', 9), KEY, AT);
  kept.keep(offer('web1', 'c'), KEY, AT);
  assert.equal(kept.list().length, 9);
});
