import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeIncoming,
  judgeMemory,
  judgeName,
  judgePorts,
  judgeRoutes,
  type AdmissionFacts,
} from '../../../src/migration/preflight/admission.ts';

const small = fc.nat(12);
const last = fc.integer({ min: 1, max: 5 });
const routes = fc.array(
  fc.oneof(
    last.map((n) => `10.88.0.${n}/32`),
    last.map((n) => `fd88::${n}/128`),
    last.map((n) => `10.89.0.${n}/32`),
  ),
  { maxLength: 3 },
);
const facts: fc.Arbitrary<AdmissionFacts> = fc.record({
  host: fc.constant('b'),
  guest: fc.constant('web1'),
  from: fc.constant('a'),
  coming: small,
  limit: small,
  comingFromOne: small,
  limitOfOne: small,
  held: fc.array(fc.constant('m-1'), { maxLength: 12 }),
  heldLimit: fc.integer({ min: 1, max: 12 }),
  unheard: fc.array(fc.constant('m-2'), { maxLength: 12 }),
  unheardLimit: fc.integer({ min: 1, max: 12 }),
  nameInUse: fc.boolean(),
  routes: routes,
  routedPrefixes: fc.subarray(['10.88.0.0/24', 'fd88::/64']),
  othersRoutes: fc.array(fc.record({ guest: fc.constantFrom('db1', 'db2'), routes }), {
    maxLength: 2,
  }),
  availableBytes: fc.nat(),
  neededBytes: fc.nat(),
  ports: fc.constant({ from: 1, to: 9 }),
  freePorts: fc.nat(9),
  portsNeeded: fc.integer({ min: 1, max: 9 }),
});

test('a guest may arrive while every limit has room, and the first full limit is named', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const [found] = judgeIncoming(given);
      const full = [
        given.coming >= given.limit ? 'in migrations to it' : [],
        given.held.length >= given.heldLimit ? 'in held migrations from a' : [],
        given.unheard.length >= given.unheardLimit ? 'in ended migrations from a' : [],
        given.comingFromOne >= given.limitOfOne ? 'in migrations from a' : [],
      ].flat();
      assert.equal(found?.verdict, full.length === 0 ? 'pass' : 'refuse');
      if (full[0] !== undefined) assert.ok(found?.evidence.includes(full[0]), found?.evidence);
    }),
  );
});

test('addresses in the networks are reserved only for routed guests, and by one arriving guest', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const [found] = judgeRoutes(given);
      const allowed = given.routedPrefixes.map((each) => each.replace(/0\/24|\/64/, ''));
      const taken = new Set(given.othersRoutes.flatMap((each) => each.routes));
      const bad = given.routes.filter(
        (each) => taken.has(each) || !allowed.some((start) => each.startsWith(start)),
      );
      assert.equal(found?.verdict, bad.length === 0 ? 'pass' : 'refuse');
      if (bad[0] !== undefined) assert.ok(found?.evidence.includes(bad[0]), found?.evidence);
    }),
  );
});

test('memory is sufficient exactly if the free amount covers the required one', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const [found] = judgeMemory(given);
      const enough = given.availableBytes >= given.neededBytes;
      assert.equal(found?.error?.code, enough ? undefined : 'GODWIT_MEMORY_SHORT');
    }),
  );
});

test('a name that is in use is refused with the host that has it', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const [found] = judgeName(given);
      assert.equal(found?.error?.code, given.nameInUse ? 'GODWIT_NAME_IN_USE' : undefined);
    }),
  );
});

test('ports are sufficient exactly if as many are free as the migration needs', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const enough = given.freePorts >= given.portsNeeded;
      assert.equal(judgePorts(given)[0]?.error?.code, enough ? undefined : 'GODWIT_PORT_NONE');
    }),
  );
});
