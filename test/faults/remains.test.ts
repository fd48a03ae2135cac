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

describe('remains on a host', () => {
  test("the remains on an empty host, and on the guest's host, are none", () => {
    assert.deepEqual(overIn(BARE, BARE, []), []);
    assert.deepEqual(overIn(WITH_GUEST, BARE, guest), []);
  });

  test('the remains on a host are named by kind and host', () => {
    const left = overIn({ ...WITH_GUEST, ports: ['7443', '40001'] }, BARE, []).join('\n');
    for (const what of ['qemu', 'port 40001', 'tap1', 'guests/web1/qmp.sock']) {
      assert.ok(left.includes(what), `${what} is not in ${left}`);
    }
    assert.match(left, /^b: /);
  });

  test('a mover is always one too many, and so is a second QEMU', () => {
    const processes = [...WITH_GUEST.processes, 'node mover.ts', 'qemu-system-x86_64'];
    const left = overIn({ ...WITH_GUEST, processes }, BARE, guest);
    assert.deepEqual(left, ['b: node mover.ts', 'b: 1 qemu-system-x86_64 too many']);
  });

  test('a missing guest is detected', () => {
    assert.deepEqual(overIn(BARE, BARE, guest), [
      'b: 1 qemu-system-x86_64 missing',
      'b: a tap is missing',
    ]);
  });

  test("the lab's files may remain on the guest's last host", () => {
    assert.deepEqual(overIn(WITH_GUEST, BARE, grave), []);
    assert.deepEqual(overIn({ ...WITH_GUEST, processes: BARE.processes }, BARE, grave), []);
  });
});

test("an agent's files about its guests and its fleet, even partial ones, belong to no migration", () => {
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
