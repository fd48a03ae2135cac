import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimants, SETTLED_MS, type Claim } from '../../../src/controller/inventory/claims.ts';

const NOW = 1_000_000;

function claim(host: string, given: Partial<Claim> & { migration?: string } = {}): Claim {
  const { migration, ...rest } = given;
  const state = rest.state ?? 'running';
  const info = JSON.stringify({ name: 'web1', host, driver: 'qemu', state, migration });
  const settled = { name: 'web1', uuid: 'u-1', changed_at: NOW - 2 * SETTLED_MS };
  return { ...settled, host, info, ...rest, state };
}

describe('claims by two hosts', () => {
  test('both hosts of a conflict are named', () => {
    assert.deepEqual(claimants([claim('b'), claim('a')], NOW), ['a', 'b']);
    assert.deepEqual(claimants([claim('b'), claim('a', { state: 'paused' })], NOW), ['a', 'b']);
  });

  test('two claims are expected if one migration moves the guest between the hosts', () => {
    const both = [claim('a', { migration: 'm-00000001' }), claim('b', { migration: 'm-00000001' })];
    assert.deepEqual(claimants(both, NOW), []);
    const apart = [
      claim('a', { migration: 'm-00000001' }),
      claim('b', { migration: 'm-00000002' }),
    ];
    assert.deepEqual(claimants(apart, NOW), ['a', 'b']);
  });

  test('two claims are not a conflict if one of the hosts does not run the guest', () => {
    for (const state of ['incoming', 'stopped', 'unknown'])
      assert.deepEqual(claimants([claim('a'), claim('b', { state })], NOW), []);
    assert.deepEqual(claimants([claim('a'), claim('a')], NOW), []);
  });

  test("two containers of one name are two guests if each belongs to its host's manager", () => {
    const given = (host: string, manager?: string): Claim => {
      const known = { name: 'web1', host, driver: 'criu', state: 'running', manager };
      return claim(host, { uuid: '', info: JSON.stringify(known) });
    };
    assert.deepEqual(claimants([given('a', 'docker'), given('b', 'docker')], NOW), []);
    assert.deepEqual(claimants([given('a', 'docker'), given('b')], NOW), []);
    assert.deepEqual(claimants([given('a'), given('b')], NOW), ['a', 'b']);
    // A virtual machine is one, whoever has it.
    const machine = (host: string): Claim => ({ ...given(host, 'libvirt'), uuid: 'u-1' });
    assert.deepEqual(claimants([machine('a'), machine('b')], NOW), ['a', 'b']);
  });

  test('two claims are judged once both hosts had time to report the end of a move', () => {
    const fresh = [claim('a'), claim('b', { changed_at: NOW - 1000 })];
    assert.deepEqual(claimants(fresh, NOW), []);
    assert.deepEqual(claimants(fresh, NOW + SETTLED_MS), ['a', 'b']);
  });
});
