import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { programChecks } from '../../../../src/drivers/qemu/programs/choose.ts';
import type { QemuProgram } from '../../../../src/drivers/qemu/programs/binaries.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { DEFECTS, knownOf, TRIED } from '../../../../src/drivers/qemu/programs/version-pairs.ts';
import { commandLine, factsOf } from '../spec/facts.ts';

const root = new URL('../../../../', import.meta.url);
const PAIR = { from: '7.2.22', to: '10.0.2', machine: 'pc-q35-7.2', devices: ['pcie-root-port'] };

describe('a pair of QEMU versions', () => {
  test('a tried pair has an existing test, and its versions are in docs/drivers/qemu.md', () => {
    const docs = readFileSync(new URL('docs/drivers/qemu.md', root), 'utf8');
    for (const { from, to, by } of TRIED) {
      assert.ok(existsSync(new URL(by, root)), by);
      for (const version of [from, to]) assert.ok(docs.includes(version), version);
      assert.deepEqual(knownOf({ ...PAIR, from, to, devices: [] }).by, by);
    }
    for (const { only } of DEFECTS) assert.ok(docs.includes(only), only);
  });

  test('a pair is known by its releases, in one direction, and all others were not tried', () => {
    const number = fc.integer({ min: 0, max: 12 });
    const version = fc.tuple(number, number, number).map((parts) => parts.join('.'));
    const releaseOf = (each: string) => each.split('.').slice(0, 2).join('.');
    fc.assert(
      fc.property(version, version, (from, to) => {
        const pairs = TRIED.map((each) => `${each.from} ${each.to}`);
        const isTried = pairs.includes(`${releaseOf(from)} ${releaseOf(to)}`);
        assert.equal(knownOf({ ...PAIR, from, to, devices: [] }).by !== undefined, isTried);
      }),
    );
    assert.deepEqual(knownOf({ ...PAIR, from: '11.1.0', to: '10.0.2' }), {});
  });

  test('a defect needs the affected version on one side, and a guest with the affected device and machine', () => {
    const only = (change: Partial<typeof PAIR>) => knownOf({ ...PAIR, ...change }).defect?.only;
    assert.equal(only({ to: '8.0.0' }), '8.0.0');
    assert.equal(only({ from: '8.0.0 (Debian)', to: '8.0.1' }), '8.0.0');
    assert.equal(only({ from: '8.0.0', to: '8.0.0' }), undefined);
    assert.equal(only({ to: '8.0.1' }), undefined);
    assert.equal(only({ to: '8.0.0', machine: 'pc-q35-8.0' }), undefined);
    for (const machine of ['pc-q35-rhel9.2.0', 'pc-q35-jammy'])
      assert.equal(only({ to: '8.0.0', machine }), undefined, 'its distribution fixes it');
    assert.equal(only({ to: '8.0.0', devices: ['virtio-net-pci'] }), undefined);
    assert.equal(only({ from: '8.2.4', to: '9.0.0', devices: ['virtio-vga'] }), '9.0.0');
  });
});

test('the check `machine` reports of each pair whether it was tried, and warns of a defect', () => {
  const program = (version: string): QemuProgram => ({
    binary: '/qemu',
    version,
    arch: 'x86_64',
    machineTypes: ['pc-q35-7.2'],
    capabilities: [],
    multifdCompression: [],
    sandbox: true,
    rdma: false,
    features: { tcg: [], kvm: [] },
  });
  const spec = describeGuest(factsOf(commandLine('-device pcie-root-port,id=rp1'))).spec;
  const check = (version: string, isCold = false, name: 'tcg' | 'kvm' = 'tcg') => {
    const description = { driver: 'qemu', name: 'web1', memoryBytes: 1, vcpus: 1, spec };
    const guest = { ...description, hypervisorVersion: '7.2.22' };
    const asked = { ...spec, accelerator: { ...spec.accelerator, name } };
    return programChecks(guest, asked, { host: 'b', isCold }, [program(version)]).checks[0];
  };
  assert.equal(check('10.0.2')?.verdict, 'pass');
  assert.match(check('10.0.2')?.evidence ?? '', /from QEMU 7\.2\.22: a tested pair of versions/);
  // A user has no use for the name of a test.
  assert.doesNotMatch(check('10.0.2')?.evidence ?? '', /\.ts/);
  assert.match(check('10.0.2', false, 'kvm')?.evidence ?? '', /, with emulated guests alone$/);
  assert.match(check('9.2.0')?.evidence ?? '', /from QEMU 7\.2\.22: not tried$/);
  const warned = check('8.0.0');
  assert.equal(warned?.verdict, 'warn');
  assert.match(warned?.evidence ?? '', /of QEMU 8\.0\.0 it is known .* \(5ed3dabe57dd/);
  assert.equal(check('8.0.0', true)?.verdict, 'pass');
  assert.doesNotMatch(check('9.2.0', true)?.evidence ?? '', /tried/);
});
