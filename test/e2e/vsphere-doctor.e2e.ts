import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { JSON_SHAPES } from '../../tools/docs/json-shapes.ts';
import type { Finding } from '../../src/cli/doctor/facts.ts';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';

const GODWIT = path.resolve(import.meta.dirname, '../../godwit');
/** All that doctor may call: it logs in, reads and logs out. Views are of its own session. */
const READS = [
  'RetrieveServiceContent',
  'Login',
  'Logout',
  'CurrentTime',
  'HasPrivilegeOnEntities',
  'CreateContainerView',
  'DestroyView',
  'RetrievePropertiesEx',
  'ContinueRetrievePropertiesEx',
];

let vcenter: Vcsim;

interface CommandResult {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

function doctor(section: object, ...args: readonly string[]): Promise<CommandResult> {
  const file = path.join(vcenter.dir, 'agent.json');
  const config = {
    name: 'steers',
    address: '127.0.0.1:1',
    stateDir: path.join(vcenter.dir, 'state'),
    drivers: { qemu: { programs: [] }, vsphere: section },
  };
  writeFileSync(file, JSON.stringify(config));
  const words = ['doctor', '--config', file, ...(args.length > 0 ? args : ['--driver', 'vsphere'])];
  const env = { ...process.env, NO_COLOR: '1' };
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  execFile(GODWIT, words, { env, timeout: 60_000 }, (error, out, err) => {
    resolve({ exit: error === null ? 0 : Number(error.code ?? -1), out, err });
  });
  return promise;
}

/** Findings that are not ok. */
async function notOk(section: object = vcenter.section): Promise<Finding[]> {
  const said = await doctor(section, '--driver', 'vsphere', '--json');
  const answer = JSON.parse(said.out) as { readonly checks: Finding[] };
  assert.equal(JSON_SHAPES['doctor']?.safeParse(answer).success, true, said.out);
  const { checks } = answer;
  return checks.filter(({ verdict }) => verdict !== 'ok');
}

describe('godwit doctor --driver on a vCenter', () => {
  before(async () => {
    vcenter = await Vcsim.open({ guests: 3 });
  });
  after(() => vcenter?.close());

  test('doctor reads everything that a migration needs, calls nothing that changes, and leaves the vCenter unchanged', async () => {
    const kept = readFileSync(path.join(vcenter.dir, 'state.json'), 'utf8');
    await vcenter.calls();
    const said = await doctor(vcenter.section);
    const calls = await vcenter.calls();
    assert.equal(said.exit, 0, said.out + said.err);
    assert.match(said.out, /VMware vCenter Server, API 6\.5/);
    assert.match(said.out, /ok +right +Resource\.HotMigrate: to move a guest that runs/);
    assert.match(said.out, /ok +hosts +4 read, all connected/);
    assert.match(said.out, /ok +balancer +no cluster moves guests by itself/);
    assert.match(said.out, /ok +vmotion +4 hosts/);
    assert.match(said.out, /ok +guests +6 read, 6 running/);
    assert.match(said.out, /days left|pinned: /);
    assert.deepEqual(
      [...new Set(calls)].filter((each) => !READS.includes(each)),
      [],
    );
    assert.equal(calls.at(-1), 'Logout');
    assert.equal(readFileSync(path.join(vcenter.dir, 'state.json'), 'utf8'), kept);
  });

  test('a missing permission is named with its purpose', async () => {
    await vcenter.ask({ do: 'lack', name: 'Resource.HotMigrate' });
    const [found, ...others] = await notOk();
    const said = await doctor(vcenter.section);
    await vcenter.ask({ do: 'lack', name: '' });
    assert.deepEqual(others, []);
    assert.equal(
      found?.found,
      'Resource.HotMigrate lacks on datacenter DC0: to move a guest that runs',
    );
    assert.equal(said.exit, 4);
  });

  test('doctor advises the highest EVC mode of a cluster whose hosts differ', async () => {
    const older = 'cpuid.Intel,cpuid.AES,cpuid.AVX,cpuid.AVX2,cpuid.RDSEED';
    const features = { do: 'host', name: 'DC0_C0_H1', key: 'config.featureCapability' };
    await vcenter.ask({ ...features, value: older });
    const found = await notOk();
    await vcenter.ask({ ...features, value: `${older},cpuid.AVX512F` });
    const [only, ...others] = found;
    assert.deepEqual(others, []);
    assert.equal(
      only?.found,
      'DC0_C0 has no EVC; the highest EVC mode that all its hosts can have is intel-broadwell; DC0_C0_H1 lacks cpuid.AVX512F',
    );
    assert.match(only.hint ?? '', /Give it the EVC mode intel-broadwell/);
    const alike = await doctor(vcenter.section);
    assert.match(
      alike.out,
      /ok +evc +DC0_C0 has no EVC; its hosts have the same features; .*skylake/,
    );
  });

  test('a host without vMotion, and one that is not connected, are named', async () => {
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H1',
      key: 'config.virtualNicManagerInfo',
      value: '',
    });
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H2',
      key: 'runtime.connectionState',
      value: 'disconnected',
    });
    const found = await notOk();
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H1',
      key: 'config.virtualNicManagerInfo',
      value: 'vmk0',
    });
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H2',
      key: 'runtime.connectionState',
      value: 'connected',
    });
    assert.deepEqual(
      found.map((each) => [each.name, each.verdict, each.found]),
      [
        ['hosts', 'warn', '4 read; not connected: DC0_C0_H2'],
        ['vmotion', 'warn', 'no VMkernel interface for it: DC0_C0_H1'],
      ],
    );
  });

  const refused: [string, object, string, RegExp][] = [
    [
      'another certificate',
      { fingerprint: 'ab'.repeat(32) },
      'certificate',
      /not the one that was pinned/,
    ],
    ['a CA that does not vouch', { fingerprint: undefined }, 'certificate', /certificate/],
    ['an unknown user', { user: 'nobody' }, 'login', /does not allow a login as nobody/],
    ['a port where nobody listens', { url: 'https://127.0.0.1:1' }, 'address', /ECONNREFUSED/],
    [
      'a password file that is not there',
      { passwordFile: '/nowhere' },
      'configuration',
      /cannot be read/,
    ],
  ];
  for (const [what, change, name, words] of refused) {
    test(`doctor reports ${what} by itself, with a fix`, async () => {
      await vcenter.calls();
      const [found, ...others] = await notOk({ ...vcenter.section, ...change });
      const calls = await vcenter.calls();
      assert.deepEqual(others, []);
      assert.deepEqual([found?.name, found?.verdict], [name, 'fail']);
      assert.match(found?.found ?? '', words);
      assert.ok((found?.hint ?? '').length > 0);
      assert.ok(
        calls.every((each) => READS.includes(each)),
        calls.join(' '),
      );
    });
  }

  test('doctor never prints the password, and an unknown manager is refused with the nearest name', async () => {
    writeFileSync(vcenter.passwordFile, 'a-wrong-password\n');
    const denied = await doctor(vcenter.section, '--driver', 'vsphere', '--json');
    writeFileSync(vcenter.passwordFile, 'secret\n');
    assert.doesNotMatch(denied.out + denied.err, /a-wrong-password/);
    const unknown = await doctor(vcenter.section, '--driver', 'vspere');
    assert.equal(unknown.exit, 2, unknown.out + unknown.err);
    assert.match(unknown.err, /Did you mean vsphere\?/);
  });

  test('an unknown version is refused before any login', async () => {
    await vcenter.ask({ do: 'version', value: '9.7' });
    await vcenter.calls();
    const [found] = await notOk();
    const calls = await vcenter.calls();
    await vcenter.ask({ do: 'version', value: '6.5.0' });
    assert.equal(found?.name, 'version');
    assert.deepEqual(calls, ['RetrieveServiceContent']);
  });
});
