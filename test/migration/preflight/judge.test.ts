import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  admissionChecks,
  askChecks,
  hostChecks,
  judgedAgain,
  inOrder,
} from '../../../src/migration/preflight/judge.ts';
import { CHECKS } from '../../../src/migration/preflight/table.ts';
import { check } from '../../../src/protocol/public/migration.ts';
import { PLAIN } from '../../drivers/plain.ts';

const ask = {
  guest: 'web1',
  state: 'running',
  reachable: true,
  unmovable: [],
  host: 'a',
  running: 0,
  limit: 8,
  settings: { mode: 'precopy', streams: 1, compress: 'none' },
  nowMs: 0,
  driver: {
    name: 'any',
    capabilities: PLAIN,
  },
} as const;

test("the source's agent checks each of its rows once, in order", () => {
  const checks = askChecks(ask);
  const rows = CHECKS.filter(({ step }) => step === 'ask').map(({ name }) => name);
  assert.deepEqual(
    checks.map(({ name }) => name),
    rows,
  );
  for (const each of checks) assert.deepEqual([each.side, each.verdict], ['source', 'pass']);
});

test("the destination's agent checks each of its rows once, in order", () => {
  const checks = admissionChecks({
    host: 'b',
    guest: 'web1',
    from: 'a',
    coming: 0,
    limit: 8,
    comingFromOne: 0,
    limitOfOne: 8,
    held: [],
    heldLimit: 16,
    unheard: [],
    unheardLimit: 64,
    routes: [],
    routedPrefixes: [],
    othersRoutes: [],
    nameInUse: true,
    availableBytes: 10,
    neededBytes: 20,
    ports: { from: 1, to: 9 },
    freePorts: 9,
    portsNeeded: 1,
  });
  const rows = CHECKS.filter((row) => row.step === 'admit' && row.needs === 'destination').map(
    ({ name }) => name,
  );
  assert.deepEqual(
    checks.map(({ name }) => name),
    rows,
  );
  const refused = checks.filter(({ verdict }) => verdict === 'refuse');
  assert.deepEqual(
    refused.map(({ name, error }) => [name, error?.code]),
    [
      ['name', 'GODWIT_NAME_IN_USE'],
      ['memory', 'GODWIT_MEMORY_SHORT'],
    ],
  );
  for (const each of checks) assert.deepEqual(check.parse(each), each);
});

test('checks are sorted by the table; unlisted checks come last, and none is lost', () => {
  const made = ['a-newer-one', 'memory', 'stream', 'busy', 'stream'].map((name, at) => ({
    name,
    side: 'both' as const,
    verdict: 'pass' as const,
    evidence: String(at),
  }));
  assert.deepEqual(
    inOrder(made).map(({ name, evidence }) => [name, evidence]),
    [
      ['busy', '3'],
      ['memory', '1'],
      ['stream', '2'],
      ['stream', '4'],
      ['a-newer-one', '0'],
    ],
  );
});

test('reports of both hosts are checked by each row once, in order', () => {
  const platform = { isVirtual: false, hasKvm: true };
  const unencryptedMemory = ['a', 'b'];
  const host = { name: 'a', version: '1.0.0', wallMs: 1000, platform, unencryptedMemory };
  const facts = {
    source: host,
    destination: { ...host, name: 'b', siteChecks: ['check-web'], givesBack: true },
    askedMs: 1000,
    answeredMs: 1000,
    roundTripMs: 1,
    mayPostcopy: true,
    link: { rate: 1.25e9, how: 'measured' as const },
    routeOut: { device: 'eth1', hasGuests: false, isDefault: false },
    paths: ['10.0.0.2:7443', '10.1.0.2:7443'],
    siteCheck: 'check-web',
    transport: 'zero-copy' as const,
    balloon: 'free' as const,
  };
  const rows = CHECKS.filter(
    (row) => row.step === 'admit' && row.needs === 'both' && 'judge' in row,
  ).map(({ name }) => name);
  assert.deepEqual(
    hostChecks(facts).map(({ name, side, verdict }) => [name, side, verdict]),
    rows.map((name) => [name, 'both', 'pass']),
  );
});

test('a repeated check replaces all earlier findings, and untried checks stay unchanged', () => {
  const of = (name: string, more: object = {}) => ({
    name,
    side: 'source' as const,
    verdict: 'warn' as const,
    evidence: name,
    hint: 'Wait.',
    ...more,
  });
  const before = [of('limits'), of('workload'), of('workload'), of('link')];
  const passed = { verdict: 'pass', evidence: 'quiet' } as const;
  assert.deepEqual(judgedAgain(before, 'workload', [passed]), [
    of('limits'),
    { name: 'workload', side: 'source', ...passed },
    of('link'),
  ]);
  assert.deepEqual(judgedAgain(before, 'memory', [passed]), before);
  const untried = [of('workload', { notTried: true })];
  assert.deepEqual(judgedAgain(untried, 'workload', [passed]), untried);
});
