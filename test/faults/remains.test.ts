import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overIn, type HostCensus } from '../../faults/remains.ts';
import { isOfTheAgent } from '../../lab/witness/census.ts';

const BARE: HostCensus = {
  host: 'b',
  processes: ['node agent.ts'],
  taps: [],
  ports: ['7443'],
  files: ['agent.sock'],
};
const WITH_GUEST: HostCensus = {
  ...BARE,
  processes: ['node agent.ts', 'qemu-system-x86_64'],
  taps: ['tap1'],
  files: ['agent.sock', 'guests/web1', 'guests/web1/qmp.sock'],
};
const guest = [{ guest: 'web1', place: 'guest' }] as const;
const grave = [{ guest: 'web1', place: 'grave' }] as const;

describe('what is left on a host', () => {
  test('is nothing on one that is bare, and on one whose guest lives there', () => {
    assert.deepEqual(overIn(BARE, BARE, []), []);
    assert.deepEqual(overIn(WITH_GUEST, BARE, guest), []);
  });

  test('is named by kind and host', () => {
    const left = overIn({ ...WITH_GUEST, ports: ['7443', '40001'] }, BARE, []).join('\n');
    for (const what of ['qemu', 'port 40001', 'tap1', 'guests/web1/qmp.sock']) {
      assert.ok(left.includes(what), `${what} is not in ${left}`);
    }
    assert.match(left, /^b: /);
  });

  test('a mover is always one too many, and a second QEMU too', () => {
    const processes = [...WITH_GUEST.processes, 'node mover.ts', 'qemu-system-x86_64'];
    const left = overIn({ ...WITH_GUEST, processes }, BARE, guest);
    assert.deepEqual(left, ['b: node mover.ts', 'b: 1 qemu-system-x86_64 too many']);
  });

  test('a guest that should be there and is not is missed', () => {
    assert.deepEqual(overIn(BARE, BARE, guest), [
      'b: 1 qemu-system-x86_64 missing',
      'b: a tap is missing',
    ]);
  });

  test('where a guest died, what the lab made for it may lie still', () => {
    assert.deepEqual(overIn(WITH_GUEST, BARE, grave), []);
    assert.deepEqual(overIn({ ...WITH_GUEST, processes: BARE.processes }, BARE, grave), []);
  });
});

test('what an agent keeps of its guests and its fleet, half written too, belongs to no migration', () => {
  for (const file of [
    'guest-load.json',
    'guest-load.json.tmp',
    'fleet.json',
    'store.json.tmp',
    'pki/renewal.key',
  ])
    assert.ok(isOfTheAgent(file), file);
  for (const file of [
    'guest-load',
    'guests/web1/guest-load.json',
    'receivers/m-1.json',
    'pki/host.key',
  ])
    assert.equal(isOfTheAgent(file), false, file);
});
