import assert from 'node:assert/strict';
import { test } from 'node:test';
import { factsOf } from '../../../src/controller/engine/fleet-view.ts';
import { planFor } from '../../../src/controller/requests/plan.ts';
import { guestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { drainOf, GIB, host, NOW, world } from './worlds.ts';

/** Ten guests of one host with two processors, as its agent lists them, and another host like it. */
function drained(more: object): { readonly moved: number; readonly refused: readonly string[] } {
  const names = Array.from({ length: 10 }, (_, index) => `box${index}`);
  const guests = names.map((name) => ({
    host: 'a',
    info: guestInfo.parse({
      name,
      host: 'a',
      driver: 'criu',
      state: 'running',
      memoryBytes: GIB / 16,
      ...more,
    }),
  }));
  const seen = factsOf({ nowMs: NOW, hosts: [], guests });
  const hosts = ['a', 'b'].map((name) =>
    host(name, { cores: 2, memoryBytes: 8 * GIB, availableBytes: 7 * GIB }),
  );
  const known = world({ hosts, guests: [...seen.guests.values()] });
  const { steps, refused } = planFor(drainOf('a'), names, known);
  return { moved: steps.length, refused: [...new Set(refused.values())] };
}

test('a drain finds room for ten small containers by their use', () => {
  assert.deepEqual(drained({ vcpus: 1, usedCores: 0.03 }), { moved: 10, refused: [] });
});

test('a drain moves as many busy containers as the other host has processors for', () => {
  const { moved, refused } = drained({ vcpus: 1, usedCores: 0.6 });
  assert.ok(moved >= 1 && moved <= 3, `${moved} moved`);
  assert.match(refused.join(), /too little processor/);
});

test('a drain counts guests of unknown use at a part of their size', () => {
  const { moved, refused } = drained({ vcpus: 2 });
  assert.equal(moved, 4);
  assert.match(refused.join(), /too little processor/);
});
