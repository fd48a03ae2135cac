import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkOf } from '../../../src/drivers/vsphere/faults.ts';
import type { Fault } from '../../../src/drivers/vsphere/soap.ts';
import { check } from '../../../src/protocol/public/migration.ts';
import { escapeXml, parseXml, type XmlElement } from '../../../src/formats/xml.ts';
import { FAULT_TYPES } from './support/fault-types.ts';

const CONCERNED = { guest: 'web1', host: 'esx2' };

/** As vSphere’s API reference describes the type. */
function fault(type: string, fields: Readonly<Record<string, string>> = {}, message = ''): Fault {
  const inside = Object.entries(fields).map(
    ([name, value]) => `<${name}>${escapeXml(value)}</${name}>`,
  );
  const detail = parseXml(`<fault>${inside.join('')}</fault>`) as XmlElement;
  return { type, message, detail };
}

describe('vSphere’s faults', () => {
  for (const [family, types] of Object.entries(FAULT_TYPES)) {
    test(`every fault of the family ${family} has a check and a fix`, () => {
      const known = types.split(' ');
      assert.ok(known.length > 2);
      const whole = (type: string): string | undefined =>
        checkOf(fault(type, {}, 'no'), CONCERNED, 'refuse').error?.hint;
      const unknown = whole('OfALaterVersion');
      assert.deepEqual(
        known.filter((type) => whole(type) === undefined || whole(type) === unknown),
        [],
      );
    });
  }

  const CASES: readonly (readonly [
    string,
    Readonly<Record<string, string>>,
    string,
    string,
    RegExp,
  ])[] = [
    [
      'CpuIncompatible1ECX',
      { level: '1', sse41: 'true', aes: 'true', sse3: 'false' },
      'processor',
      'GODWIT_CPU_FEATURE',
      /sse41, aes/,
    ],
    [
      'CpuIncompatible',
      { level: '7', registerName: 'ebx', registerBits: '0', desiredBits: '1' },
      'processor',
      'GODWIT_CPU_FEATURE',
      /CPUID level 7, register ebx/,
    ],
    ['EVCModeIllegalByVendor', {}, 'processor', 'GODWIT_CPU_FEATURE', /esx2/],
    [
      'DeviceNotSupported',
      { device: 'PCI device 0' },
      'devices',
      'GODWIT_DEVICE_UNMOVABLE',
      /PCI device 0/,
    ],
    [
      'RemoteDeviceNotSupported',
      { device: 'CD/DVD drive 1' },
      'devices',
      'GODWIT_DEVICE_UNMOVABLE',
      /CD\/DVD drive 1/,
    ],
    ['DatastoreNotWritableOnHost', { name: 'ds1' }, 'disks', 'GODWIT_DISK_LOCAL', /ds1/],
    [
      'CannotAccessVmDisk',
      { file: '[ds1] web1/web1.vmdk' },
      'disks',
      'GODWIT_DISK_LOCAL',
      /web1\.vmdk/,
    ],
    ['CannotAccessNetwork', {}, 'network', 'GODWIT_MANAGER_REFUSES', /esx2/],
    ['VMotionInterfaceIssue', {}, 'network', 'GODWIT_MANAGER_REFUSES', /VMotionInterfaceIssue/],
    ['VMotionNotConfigured', {}, 'network', 'GODWIT_MANAGER_REFUSES', /VMotionNotConfigured/],
    [
      'InsufficientMemoryResourcesFault',
      { unreserved: '10', requested: '20' },
      'memory',
      'GODWIT_MEMORY_SHORT',
      /needs 20 B of memory; esx2 has 10 B free/,
    ],
    ['InsufficientCpuResourcesFault', {}, 'host', 'GODWIT_MANAGER_REFUSES', /esx2/],
    ['HostNotConnected', {}, 'host', 'GODWIT_MANAGER_REFUSES', /HostNotConnected/],
    [
      'NoPermission',
      { object: 'vm-42', privilegeId: 'Resource.HotMigrate' },
      'rights',
      'GODWIT_MANAGER_DENIED',
      /Resource\.HotMigrate \(to move a guest that runs\).*vm-42/,
    ],
    ['TaskInProgress', {}, 'manager', 'GODWIT_MANAGER_REFUSES', /TaskInProgress/],
    ['SomethingNobodyHasMet', {}, 'manager', 'GODWIT_MANAGER_REFUSES', /SomethingNobodyHasMet/],
  ];

  for (const [type, fields, name, code, words] of CASES) {
    test(`${type} is about the ${name}, with its object and a way out`, () => {
      const found = checkOf(fault(type, fields), CONCERNED, 'refuse');
      assert.deepEqual([found.name, found.verdict, found.error?.code], [name, 'refuse', code]);
      assert.match(found.evidence, words);
      assert.match(found.error?.hint ?? '', /[.]$/);
    });
  }

  test('a fault that only warns refuses nothing', () => {
    assert.equal(checkOf(fault('SnapshotX'), CONCERNED, 'warn').verdict, 'warn');
  });

  test("a fault of any type and content yields a check that fits Godwit's messages", () => {
    const type = fc.oneof(fc.constantFrom(...CASES.map(([each]) => each)), fc.string());
    const name = fc.constantFrom(
      'device',
      'level',
      'privilegeId',
      'unreserved',
      'requested',
      'file',
    );
    const fields = fc.dictionary(name, fc.string({ maxLength: 3000 }));
    fc.assert(
      fc.property(type, fields, fc.string({ maxLength: 9000 }), (of, given, message) => {
        const found = checkOf(fault(of, given, message), CONCERNED, 'refuse');
        assert.ok(check.safeParse(found).success, JSON.stringify(found));
      }),
    );
  });
});
