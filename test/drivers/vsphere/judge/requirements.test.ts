import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compatibleIn } from '../../../../src/drivers/vsphere/check.ts';
import { neededIn, requirementCheck } from '../../../../src/drivers/vsphere/judge/requirements.ts';
import { parseXml, type XmlElement } from '../../../../src/formats/xml.ts';

const element = (xml: string): XmlElement => parseXml(xml) as XmlElement;
const requirement = (key: string, value: string): string =>
  `<VirtualMachineFeatureRequirement><key>${key}</key><featureName>${key}</featureName><value>${value}</value></VirtualMachineFeatureRequirement>`;
const host = (name: string, ...features: string[]) => ({ name, features: new Set(features) });

test('a guest requires the features that must be present, and no numbers', () => {
  const listed = [
    requirement('cpuid.AVX2', 'Bool:Min:1'),
    requirement('cpuid.AES', 'Bool:Min:1'),
    requirement('cpuid.NUMLEVELS', 'Num:Min:13'),
    requirement('hv.capable', 'Bool:Min:1'),
  ];
  assert.deepEqual(neededIn(element(`<val>${listed.join('')}</val>`)), ['cpuid.AES', 'cpuid.AVX2']);
  assert.deepEqual(neededIn(undefined), []);
});

test('the missing features of the destination are named, and the hosts that have them all', () => {
  const hosts = [host('esx1', 'cpuid.AES'), host('esx2', 'cpuid.AES', 'cpuid.AVX2'), host('esx3')];
  const lacking = requirementCheck({ needed: ['cpuid.AES', 'cpuid.AVX2'], to: 'esx1', hosts });
  assert.equal(lacking.verdict, 'warn');
  assert.match(
    lacking.evidence,
    /esx1 lacks cpuid\.AVX2; beside it esx3 lacks cpuid\.AES, cpuid\.AVX2/,
  );
  assert.equal(lacking.hint, 'These hosts have all of them: esx2.');
  const fine = requirementCheck({ needed: ['cpuid.AES', 'cpuid.AVX2'], to: 'esx2', hosts });
  assert.equal(fine.verdict, 'pass');
  assert.match(fine.evidence, /esx1 lacks cpuid\.AVX2/);
});

test("a check without the destination's features points to EVC and claims nothing", () => {
  const hosts = [{ name: 'esx1', features: undefined }];
  const unread = requirementCheck({ needed: ['cpuid.AES'], to: 'esx1', hosts });
  assert.equal(unread.verdict, 'warn');
  assert.match(unread.evidence, /nobody compared them/);
  assert.match(unread.hint ?? '', /EVC modes of both clusters/);
});

test('the check passes only for hosts that have every feature', () => {
  const feature = fc.constantFrom('cpuid.A', 'cpuid.B', 'cpuid.C');
  const sets = fc.uniqueArray(feature);
  fc.assert(
    fc.property(sets, sets, (needed, there) => {
      const { verdict } = requirementCheck({ needed, to: 'h', hosts: [host('h', ...there)] });
      const hasAll = needed.every((each) => there.includes(each));
      assert.equal(verdict === 'pass', hasAll);
    }),
  );
});

test('hosts that would accept a guest are the ones without an error from vSphere', () => {
  const result = (id: string, inside: string): string =>
    `<CheckResult><vm type="VirtualMachine">vm-1</vm><host type="HostSystem">${id}</host>${inside}</CheckResult>`;
  const all = element(
    `<val>${result('host-1', '')}${result('host-2', '<error><fault/></error>')}${result('host-3', '<warning><fault/></warning>')}</val>`,
  );
  assert.deepEqual(compatibleIn(all), ['host-1', 'host-3']);
  assert.deepEqual(compatibleIn(undefined), []);
});
