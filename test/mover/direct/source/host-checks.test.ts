import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checksOfHosts } from '../../../../src/mover/direct/source/examine.ts';
import type { HostFacts } from '../../../../src/protocol/peer/host-facts.ts';
import { balloonPolicy } from '../../../../src/protocol/public/balloon.ts';
import { transport } from '../../../../src/protocol/public/transport.ts';

const NOW = 1_700_000_000_000;

function reportOf(name: string, given: Partial<HostFacts> = {}): HostFacts {
  return { name, version: '1.0.0', wallMs: NOW, ...given };
}

const facts = {
  to: 'b',
  source: reportOf('a', { unencryptedMemory: ['b'], rdma: ['mlx5_0'] }),
  askedMs: NOW,
  answeredMs: NOW,
  mayPostcopy: false,
  paths: ['10.0.0.2:7443'],
};

/** What a migration may ask of both hosts, with the check that judges it. */
const wishes = fc.record({
  transport: fc.option(fc.constantFrom(...transport.options), { nil: undefined }),
  balloon: fc.option(fc.constantFrom(...balloonPolicy.options), { nil: undefined }),
  siteCheck: fc.option(fc.constant('check-web'), { nil: undefined }),
});

test('a destination that reports nothing about itself is refused by the name of each missing fact', () => {
  fc.assert(
    fc.property(wishes, (asked) => {
      const checks = checksOfHosts({ ...facts, ...asked, destination: undefined });
      const named = new Set(checks.map(({ name }) => name));
      const expected = [
        ...((asked.transport ?? 'tcp') === 'tcp' ? [] : ['transport']),
        ...(asked.balloon === undefined ? [] : ['gives-back']),
        ...(asked.siteCheck === undefined ? [] : ['site-check']),
      ];
      assert.deepEqual([...named], expected);
      for (const { side, verdict, error } of checks) {
        assert.deepEqual([side, verdict, error?.code], ['both', 'refuse', 'GODWIT_CAPABILITY']);
        assert.match(error?.message ?? '', /\bb\b/);
      }
    }),
  );
});

test('a destination that reports everything passes every check of both hosts', () => {
  const destination = reportOf('b', {
    unencryptedMemory: ['a'],
    rdma: ['mlx5_1'],
    givesBack: true,
    siteChecks: ['check-web'],
  });
  fc.assert(
    fc.property(wishes, (asked) => {
      const checks = checksOfHosts({ ...facts, ...asked, destination });
      assert.ok(checks.some(({ name }) => name === 'clock'));
      assert.ok(checks.some(({ name }) => name === 'versions'));
      assert.deepEqual(
        checks.filter(({ verdict }) => verdict === 'refuse'),
        [],
      );
    }),
  );
});
