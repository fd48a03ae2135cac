import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeGround } from '../../demo/obstacles.ts';
import type { Facts } from '../../src/cli/doctor/facts.ts';

const ok = { ok: true } as const;
const no = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

const facts: Facts = {
  nodeVersion: '26.10.0',
  root: false,
  userNamespaces: ok,
  hypervisors: [{ binary: 'qemu', version: '10.0.2', kvm: ok, postcopy: ok }],
  kvmDevice: ok,
  tunDevice: ok,
  unprivilegedUserfaultfd: '1',
  tools: { ip: true, tc: true, unshare: true, nsenter: true },
  bridges: [],
  memory: { totalBytes: 8e9, availableBytes: 6e9 },
  ports: { from: 49_152, to: 49_407, free: 256 },
  clock: undefined,
  openFiles: { soft: 1024, hard: 4096 },
  guestImage: { folder: 'cache', ready: true },
  agent: { answering: [], problem: 'no agent' },
  config: { file: 'agent.json', state: 'wrong', reason: 'not JSON' },
  certificates: [],
  trust: [],
};

const namesOf = (change: Partial<Facts>): string[] =>
  judgeGround({ ...facts, ...change }).obstacles.map(({ name }) => name);

describe('the ground for a demo', () => {
  test('is good without root, bridges, an agent or a configuration of its own', () => {
    assert.deepEqual(judgeGround(facts), { obstacles: [], reasons: {} });
  });

  test('lacks /dev/net/tun, QEMU, user namespaces, a tool or a guest kernel in the words of doctor', () => {
    assert.deepEqual(namesOf({ tunDevice: no('ENOENT') }), ['tun', 'lab']);
    assert.deepEqual(namesOf({ hypervisors: [] }), ['qemu']);
    assert.deepEqual(namesOf({ userNamespaces: no('EPERM') }), ['privilege', 'lab']);
    assert.deepEqual(namesOf({ tools: { ...facts.tools, tc: false } }), ['tools', 'lab']);
    assert.deepEqual(namesOf({ guestImage: { folder: 'cache', ready: false } }), ['lab']);
  });

  test('leaves post-copy and hybrid out, with the reason, where userfaultfd is not permitted', () => {
    const hypervisors = [
      { binary: 'qemu', version: '10.0.2', kvm: ok, postcopy: no('userfaultfd: not permitted') },
    ];
    const { obstacles, reasons } = judgeGround({ ...facts, hypervisors });
    assert.deepEqual(obstacles, []);
    assert.deepEqual(Object.keys(reasons), ['postcopy', 'hybrid']);
    assert.match(reasons.postcopy ?? '', /userfaultfd: not permitted/);
  });
});
