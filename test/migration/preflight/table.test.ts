import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  admissionChecks,
  askChecks,
  CHECK_STEPS,
  CHECKS,
  inOrder,
} from '../../../src/migration/preflight/table.ts';
import { check } from '../../../src/protocol/public/migration.ts';

const root = path.join(import.meta.dirname, '../../..');

test('each check has a name of its own that fits, a question, and stands where it is made', () => {
  const names = CHECKS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, asks } of CHECKS) {
    assert.match(name, /^[a-z][a-z-]{2,62}$/);
    assert.match(asks, /\?$/, name);
  }
  const steps = CHECKS.map(({ step }) => CHECK_STEPS.indexOf(step));
  assert.deepEqual(
    steps,
    steps.toSorted((left, right) => left - right),
  );
});

test('every check of the table is documented', () => {
  const docs = readFileSync(path.join(root, 'docs/checks.md'), 'utf8');
  for (const { name } of CHECKS) assert.ok(docs.includes(`| \`${name}\` |`), name);
});

test('every check that is found elsewhere is made somewhere', () => {
  const files = globSync('src/{drivers,mover,agent}/**/*.ts', { cwd: root });
  const text = files.map((file) => readFileSync(path.join(root, file), 'utf8')).join('\n');
  for (const row of CHECKS) {
    if (!('by' in row)) continue;
    assert.ok(text.includes(`'${row.name}'`), `${row.name} is made nowhere`);
  }
  assert.ok(existsSync(path.join(root, 'src/migration/preflight/table.ts')));
});

const ask = {
  guest: 'web1',
  state: 'running',
  reachable: true,
  unmovable: [],
  host: 'a',
  running: 0,
  limit: 8,
  settings: { mode: 'precopy', streams: 1, compress: 'none' },
  driver: {
    name: 'any',
    capabilities: {
      shape: 'direct',
      modes: ['precopy'],
      compression: ['none'],
      maxStreams: 1,
      postcopyRecovery: false,
    },
  },
} as const;

test('the source’s agent judges each of its rows once, in their order', () => {
  const checks = askChecks(ask);
  const rows = CHECKS.filter(({ step }) => step === 'ask').map(({ name }) => name);
  assert.deepEqual(
    checks.map(({ name }) => name),
    rows,
  );
  for (const each of checks) assert.deepEqual([each.side, each.verdict], ['source', 'pass']);
});

test('the destination’s agent judges each of its rows once, in their order', () => {
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
    nameInUse: true,
    availableBytes: 10,
    neededBytes: 20,
    ports: { from: 1, to: 9 },
    freePorts: 9,
    portsNeeded: 1,
  });
  const rows = CHECKS.filter((row) => row.step === 'admit' && 'judge' in row).map(
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

test('checks come in the order of the table, one that it does not name comes last, and none is lost', () => {
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
