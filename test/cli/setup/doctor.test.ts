import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { doctorText } from '../../../src/cli/render/findings.ts';
import type { Facts, Finding } from '../../../src/cli/doctor/facts.ts';
import { judge, worst } from '../../../src/cli/doctor/judge.ts';
import { JSON_SHAPES } from '../../../tools/docs/json-shapes.ts';
import { painter } from '../../../src/words/style.ts';
import { FakeContext, godwit } from '../fake.ts';

const ok = { ok: true } as const;
const no = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });
const qemu = { binary: '/usr/bin/qemu-system-x86_64', version: '7.2.22', kvm: ok, postcopy: ok };

const CONFIG = { file: '/a.json', state: 'read', pkiDir: '/pki', problems: [] } as const;

/** A host that lacks nothing. */
const GOOD: Facts = {
  nodeVersion: '26.10.0',
  root: true,
  userNamespaces: ok,
  hypervisors: [qemu],
  kvmDevice: ok,
  tunDevice: ok,
  unprivilegedUserfaultfd: '0',
  tools: { ip: true, tc: true, unshare: true, nsenter: true, setpriv: true },
  bridges: ['br0'],
  memory: { totalBytes: 2 ** 34, availableBytes: 2 ** 33 },
  ports: { from: 49_152, to: 49_407, free: 256 },
  clock: { synchronized: true, by: 'chrony' },
  openFiles: { soft: 4096, hard: 4096 },
  guestImage: { folder: '/cache/guest', ready: true },
  agent: { answering: ['a'], problem: undefined },
  config: CONFIG,
  certificates: [{ file: 'host.crt', subject: 'CN=a', daysLeft: 300, lifeDays: 365 }],
  trust: [],
};

function lines(change: Partial<Facts>, name: string): Finding[] {
  return judge({ ...GOOD, ...change }).filter((each) => each.name === name);
}

describe("doctor's verdicts", () => {
  test('doctor of a package names nothing that only a clone has', () => {
    const change = { nodeVersion: '22.1.0', guestImage: undefined, hypervisors: [] };
    for (const { hint = '' } of judge({ ...GOOD, ...change })) assert.doesNotMatch(hint, /npm run/);
  });

  test('a host that lacks nothing gets only ok', () => {
    assert.equal(worst(judge(GOOD)), 'ok');
  });

  const cases: [string, Partial<Facts>, string, Finding['verdict'], RegExp, RegExp][] = [
    ['no QEMU', { hypervisors: [] }, 'qemu', 'fail', /no QEMU/, /Install QEMU 7\.2/],
    [
      'an old QEMU alone',
      { hypervisors: [{ ...qemu, version: '6.2.0' }] },
      'qemu',
      'fail',
      /6\.2\.0/,
      /upgrade/,
    ],
    [
      'no root and no user namespaces',
      { root: false, userNamespaces: no('Operation not permitted') },
      'privilege',
      'fail',
      /not permitted/,
      /user\.max_user_namespaces/,
    ],
    [
      'no root, but user namespaces',
      { root: false },
      'privilege',
      'warn',
      /not root/,
      /enough for a lab/,
    ],
    [
      'no /dev/net/tun',
      { tunDevice: no('it is not there') },
      'tun',
      'fail',
      /not there/,
      /modprobe tun/,
    ],
    ['no /dev/kvm', { kvmDevice: no('it is not there') }, 'kvm', 'warn', /not there/, /emulation/],
    [
      'a KVM that no QEMU can use',
      { hypervisors: [{ ...qemu, kvm: no('Permission denied') }] },
      'kvm',
      'warn',
      /Permission denied/,
      /emulation/,
    ],
    [
      'userfaultfd refused',
      { root: false, hypervisors: [{ ...qemu, postcopy: no('userfaultfd not available') }] },
      'post-copy',
      'warn',
      /userfaultfd not available/,
      /vm\.unprivileged_userfaultfd=1/,
    ],
    ['no ip', { tools: { ...GOOD.tools, ip: false } }, 'tools', 'fail', /missing: ip/, /iproute2/],
    ['no tc', { tools: { ...GOOD.tools, tc: false } }, 'tools', 'warn', /missing: tc/, /iproute2/],
    ['no bridge', { bridges: [] }, 'bridges', 'warn', /none/, /`bridges`/],
    ['no free port', { ports: { from: 1, to: 10, free: 0 } }, 'ports', 'fail', /0 of 10/, /Widen/],
    [
      'few free ports',
      { ports: { from: 1, to: 100, free: 3 } },
      'ports',
      'warn',
      /3 of 100/,
      /Widen/,
    ],
    [
      'little memory',
      { memory: { totalBytes: 2 ** 30, availableBytes: 2 ** 20 } },
      'memory',
      'warn',
      /available/,
      /Free memory/,
    ],
    [
      'a low limit of open files',
      { openFiles: { soft: 256, hard: 4096 } },
      'open files',
      'warn',
      /256/,
      /ulimit -n/,
    ],
    [
      'a clock that is off',
      { clock: { synchronized: false, by: 'chrony' } },
      'clock',
      'warn',
      /not synchronized/,
      /chrony/,
    ],
    [
      'a clock that nobody knows of',
      { clock: undefined },
      'clock',
      'warn',
      /nothing here reports/,
      /chrony/,
    ],
    [
      'a wrong configuration',
      { config: { file: 'x', state: 'wrong', reason: 'is not JSON' } },
      'configuration',
      'fail',
      /is not JSON/,
      /configuration\.md/,
    ],
    [
      'no configuration',
      { config: { file: 'x', state: 'absent' } },
      'configuration',
      'warn',
      /not there/,
      /--config/,
    ],
    [
      'an expired certificate',
      { certificates: [{ file: 'host.crt', daysLeft: -3 }] },
      'certificate',
      'fail',
      /expired 3 days ago/,
      /pki issue/,
    ],
    [
      'a certificate that expires soon',
      { certificates: [{ file: 'host.crt', daysLeft: 9.5, lifeDays: 365 }] },
      'certificate',
      'warn',
      /9 days left/,
      /pki issue/,
    ],
    [
      'no certificate',
      { certificates: [{ file: 'host.crt', problem: 'is not there' }] },
      'certificate',
      'fail',
      /is not there/,
      /godwit invite/,
    ],
    [
      'no agent',
      { agent: { answering: [], problem: undefined } },
      'agent',
      'warn',
      /none answers/,
      /godwit init.*systemctl start godwit-agent/,
    ],
    [
      'no guest kernel',
      { guestImage: { folder: '/c', ready: false } },
      'lab',
      'warn',
      /no guest kernel/,
      /npm run setup/,
    ],
    [
      'an old Node',
      { nodeVersion: '22.1.0' },
      'node',
      'fail',
      /22\.1\.0/,
      /its package brings one/,
    ],
    [
      'no configuration',
      { config: { file: '/a.json', state: 'absent' } },
      'configuration',
      'warn',
      /is not there/,
      /godwit init.*godwit join/,
    ],
    [
      'no setpriv',
      { tools: { ...GOOD.tools, setpriv: false } },
      'tools',
      'fail',
      /missing: setpriv/,
      /Install util-linux/,
    ],
    [
      'a configuration with which the agent does not start',
      {
        config: {
          ...CONFIG,
          problems: [{ what: 'drivers.qemu is wrong', hint: 'Correct it', isFatal: true }],
        },
      },
      'configuration',
      'fail',
      /\/a\.json: drivers\.qemu is wrong/,
      /Correct it/,
    ],
    [
      'a lab without tun',
      { tunDevice: no('x') },
      'lab',
      'warn',
      /needs \/dev\/net\/tun/,
      /lines above/,
    ],
  ];
  for (const [what, change, name, verdict, found, hint] of cases) {
    test(`${what}: ${verdict}, with the finding and the hint`, () => {
      const [line] = lines(change, name);
      assert.equal(line?.verdict, verdict);
      assert.match(line.found, found);
      assert.match(line.hint ?? '', hint);
    });
  }

  test('an old QEMU next to a good one is only a warning', () => {
    const found = lines({ hypervisors: [{ ...qemu, version: '6.2.0' }, qemu] }, 'qemu');
    assert.deepEqual(
      found.map(({ verdict }) => verdict),
      ['warn', 'ok'],
    );
  });

  test('doctor never claims that a guest boots under KVM', () => {
    assert.match(lines({}, 'kvm')[0]?.found ?? '', /only when one does/);
  });

  test('a program without a lab reports on no lab', () => {
    assert.deepEqual(lines({ guestImage: undefined, tunDevice: no('x') }, 'lab'), []);
  });

  test('every line that is not ok has a hint', () => {
    for (const [, change] of cases) {
      for (const line of judge({ ...GOOD, ...change })) {
        assert.equal(line.hint !== undefined, line.verdict !== 'ok', line.name);
      }
    }
  });
});

describe('godwit doctor', () => {
  test('doctor examines this host without a stack trace, whatever is missing', async () => {
    const context = new FakeContext();
    // An empty PATH: no QEMU, no ip, nothing to run.
    context.env['PATH'] = '';
    const exit = await godwit(context, 'doctor --json');
    const answer = JSON.parse(context.out.text);
    JSON_SHAPES['doctor']?.parse(answer);
    assert.equal(exit, answer.verdict === 'fail' ? 4 : 0);
    assert.equal(context.err.text, '');
  });

  test('godwit doctor reports what is wrong in the given configuration', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, `doctor --config ${import.meta.filename}`), 4);
    assert.match(context.out.text, /fail {2}configuration .*is not JSON/);
  });

  test('godwit doctor prints one line for each finding, and its hint below', () => {
    const text = doctorText(
      [
        { name: 'node', verdict: 'ok', found: 'Node 26' },
        { name: 'tun', verdict: 'fail', found: 'bad\u001b[2J', hint: 'modprobe tun' },
      ],
      painter(false),
    );
    const expected =
      'ok    node  Node 26\nfail  tun   bad\ufffd[2J\n            modprobe tun\n\n1 fail, 0 warn, 1 ok\n';
    assert.equal(text, expected);
  });
});
