import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hookInput } from '../../src/hooks/hooks.ts';
import { ROUTED_BOTH } from '../network/host-facts.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/hooks/', import.meta.url));

function installed(t: TestContext, hook: string, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-hooks-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  copyFileSync(path.join(EXAMPLES, hook), path.join(dir, hook));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(dir, name), text);
  return path.join(dir, hook);
}

const input = hookInput.parse({
  version: 1,
  hook: 'after-resume',
  migration: 'm-12345678',
  guest: 'web1',
  from: 'a',
  to: 'b',
  host: 'b',
  mode: 'precopy',
  networks: [
    {
      id: 'net0',
      mac: '52:54:00:00:00:02',
      port: 'tap1',
      addresses: ['10.88.0.21', 'fd00::21'],
      attachment: ROUTED_BOTH,
    },
  ],
  ports: { net0: 'gw0' },
});

describe('the change window of examples/hooks', () => {
  const at = (t: TestContext, now: string, window?: string): number | null => {
    const files = window === undefined ? {} : { 'change-window': `${window}\n` };
    const env = { ...process.env, CHANGE_WINDOW_NOW: now };
    return spawnSync(installed(t, 'before-start', files), [], { env, input: '{}' }).status;
  };

  test('the change window of examples/hooks allows moves within it, even past midnight, and not outside', (t) => {
    assert.equal(at(t, '08:59', '08:00-09:30'), 0);
    assert.equal(at(t, '09:30', '08:00-09:30'), 1);
    assert.equal(at(t, '00:05', '22:00-04:30'), 0);
    assert.equal(at(t, '23:00', '22:00-04:30'), 0);
    assert.equal(at(t, '12:00', '22:00-04:30'), 1);
  });

  test('a change window of examples/hooks that is missing or unreadable allows no move', (t) => {
    assert.equal(at(t, '12:00'), 1);
    assert.equal(at(t, '12:00', 'always'), 1);
  });
});

test('the router of examples/hooks gets each route to the guest, and no gateway', (t) => {
  const reported = path.join(mkdtempSync(path.join(tmpdir(), 'godwit-router-')), 'reported');
  t.after(() => rmSync(path.dirname(reported), { recursive: true, force: true }));
  writeFileSync(reported, '');
  const router = path.join(path.dirname(reported), 'router');
  writeFileSync(router, `#!/bin/sh\necho "$@" >>'${reported}'\n`, { mode: 0o755 });
  const hook = installed(t, 'after-resume', { router: `${router} -q\n10.89.0.12\n` });
  const { status, stderr } = spawnSync(hook, [], { input: `${JSON.stringify(input)}\n` });
  assert.equal(status, 0, String(stderr));
  assert.deepEqual(readFileSync(reported, 'utf8').trim().split('\n'), [
    '-q ip route replace 10.88.0.21/32 via 10.89.0.12',
    '-q ip route replace fd00::21/128 via 10.89.0.12',
  ]);
  // Texts of the source that look like routes.
  const [nic] = input.networks;
  const more = { id: '192.0.2.66/32', rules: ['192.0.2.67/32'], limits: ['2001:db8::1/128'] };
  writeFileSync(reported, '');
  const hostile = JSON.stringify({ ...input, networks: [{ ...nic, ...more }] });
  assert.equal(spawnSync(hook, [], { input: hostile }).status, 0);
  assert.equal(readFileSync(reported, 'utf8').trim().split('\n').length, 2);
  const bridged = spawnSync(hook, [], { input: '{"networks":[]}' });
  assert.equal(bridged.status, 0);
});
