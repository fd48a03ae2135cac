import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sameMachineCheck } from '../../../../src/drivers/qemu/same-machine/check.ts';
import { compareMachines } from '../../../../src/drivers/qemu/same-machine/compare.ts';
import {
  PART_KINDS,
  propertiesOf,
  type MachineParts,
  type Part,
} from '../../../../src/drivers/qemu/same-machine/machine-parts.ts';
import { REASONS, reasonFor } from '../../../../src/drivers/qemu/same-machine/reasons.ts';
import { EXAMPLES, type Example } from './reason-examples.ts';

const NIC: Part = {
  kind: 'device',
  place: 'q35-pcihost/nic0',
  type: 'virtio-net-pci',
  props: { mq: 'true', addr: '03.0', romfile: '/a/rom' },
};

function machine(parts: readonly Part[], version = '7.2.22'): MachineParts {
  return { version, kinds: [...PART_KINDS], parts: [...parts] };
}

function withProps(props: Record<string, string>): Part {
  return { ...NIC, props: { ...NIC.props, ...props } };
}

const check = (here: MachineParts, there: unknown) => sameMachineCheck('web1', here, there, 'b');

describe("the destination's machine compared with the running one", () => {
  test('the same machine passes', () => {
    const { verdict, evidence } = check(machine([NIC]), machine([NIC]));
    assert.deepEqual([verdict, evidence], ['pass', '3 properties are the same']);
  });

  test("a destination without the guest's negotiated driver features is refused", () => {
    const device = (offers: string[], taken: string[]) => ({
      ...machine([NIC]),
      virtio: [{ place: 'nic0', offers, taken, offersMore: false }],
    });
    const here = device(['VIRTIO_NET_F_MQ'], ['VIRTIO_NET_F_MQ']);
    const { verdict, error } = check(here, device([], []));
    assert.deepEqual([verdict, error?.code], ['refuse', 'GODWIT_MACHINE_DIFFERS']);
    assert.match(
      error?.message ?? '',
      /nic0: the guest uses VIRTIO_NET_F_MQ, which the destination/,
    );
    assert.equal(check(here, device(['VIRTIO_NET_F_MQ'], [])).verdict, 'pass');
    assert.equal(check(here, machine([NIC])).verdict, 'pass', 'an earlier Godwit does not tell');
  });

  test('a property that differs is refused with its place, its name and both values', () => {
    const { verdict, error } = check(machine([NIC]), machine([withProps({ mq: 'false' })]));
    assert.equal(verdict, 'refuse');
    assert.equal(error?.code, 'GODWIT_MACHINE_DIFFERS');
    assert.equal(
      error?.message,
      'web1 would not be the same machine on b: ' +
        'q35-pcihost/nic0: mq is “true” at the source and “false” at the destination',
    );
  });

  test("a destination without the guest's secure boot or system management mode is refused", () => {
    const chip = (secure: string): Part => ({
      kind: 'device',
      place: 'cfi.pflash01',
      type: 'cfi.pflash01',
      props: { secure, drive: 'pflash1' },
    });
    const board = (smm: string): Part => ({
      kind: 'machine',
      place: 'machine',
      type: 'pc-q35-7.2-machine',
      props: { smm, pflash1: '' },
    });
    const here = machine([chip('true'), board('on')]);
    assert.equal(check(here, machine([chip('true'), board('on')])).verdict, 'pass');
    for (const [there, what] of [
      [[chip('false'), board('on')], /cfi\.pflash01: secure is “true”.*“false”/],
      [[chip('true'), board('off')], /machine: smm is “on”.*“off”/],
    ] as const) {
      assert.match(check(here, machine(there)).error?.message ?? '', what);
    }
  });

  test('a device on one side alone is refused', () => {
    const lacks = check(machine([NIC]), machine([])).error?.message ?? '';
    assert.match(lacks, /q35-pcihost\/nic0 \(virtio-net-pci\): the destination lacks it$/);
    const more = check(machine([]), machine([NIC])).error?.message ?? '';
    assert.match(more, /nic0 \(virtio-net-pci\): only the destination has it$/);
  });

  test('a property on one side alone is refused if both run the same QEMU', () => {
    const there = machine([withProps({ rss: 'true' })]);
    assert.equal(check(machine([NIC]), there).verdict, 'refuse');
  });

  test('a property that only one of two QEMU versions has is accepted', () => {
    const newer = machine([withProps({ rss: 'true' })], '10.0.2');
    for (const [here, there] of [
      [machine([NIC]), newer],
      [newer, machine([NIC])],
    ] as const) {
      const { verdict, evidence } = check(here, there);
      assert.equal(verdict, 'pass');
      assert.match(evidence, /1 are known to one version of QEMU alone/);
    }
  });

  test('a difference that does not affect the guest is reported as a warning', () => {
    const chardev = (type: string): Part => ({ kind: 'chardev', place: 'c0', type, props: {} });
    const { verdict, evidence } = check(machine([chardev('pty')]), machine([chardev('file')]));
    assert.equal(verdict, 'warn');
    assert.match(evidence, /chardev c0: type is “pty” at the source and “file” at the destination/);
  });

  test('six differences are named, and the number of the others', () => {
    const props = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`p${at}`, 'x']));
    const { error } = check(machine([{ ...NIC, props }]), machine([{ ...NIC, props: {} }]));
    assert.match(error?.message ?? '', /p5 is .*; and 3 more$/);
  });

  test('machines are compared by the kinds of parts that both report', () => {
    const there = { ...machine([]), kinds: ['machine', 'something new'] };
    assert.equal(check(machine([NIC]), there).verdict, 'pass');
  });

  test('any other answer of a peer is not a machine', () => {
    const code = { code: 'GODWIT_PROTOCOL_INVALID' };
    const long = { ...NIC, props: { mq: 'x'.repeat(300) } };
    for (const reported of [null, 'no', {}, { ...machine([]), parts: 3 }, machine([long])]) {
      assert.throws(() => check(machine([NIC]), reported), code);
    }
    fc.assert(
      fc.property(fc.anything(), (reported) => {
        assert.throws(() => check(machine([NIC]), reported), code);
      }),
    );
  });

  test('a machine with any one changed property is not the same', () => {
    const word = fc.stringMatching(/^[a-z]{1,8}$/);
    const part = fc.record({
      kind: fc.constant('device'),
      place: word,
      type: word,
      props: fc.dictionary(word, word, { minKeys: 1 }),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(part, { minLength: 1, selector: ({ place }) => place }),
        fc.nat(),
        (parts, at) => {
          const changed = parts[at % parts.length] as Part;
          const property = Object.keys(changed.props)[0] ?? '';
          const props = { ...changed.props, [property]: `${changed.props[property]}!` };
          const there = parts.map((each) => (each === changed ? { ...each, props } : each));
          assert.deepEqual(compareMachines(machine(parts), machine(parts)).refused, []);
          const { refused } = compareMachines(machine(parts), machine(there));
          const known = reasonFor({
            part: changed,
            property,
            source: changed.props[property],
            destination: props[property],
          });
          assert.equal(refused.length, known === undefined ? 1 : 0);
        },
      ),
    );
  });
});

describe('a value of a property', () => {
  test('a value is the same whatever number QEMU gave the device that it names', () => {
    const path = (number: number) => `/machine/unattached/device[${number}]/ps2kbd`;
    assert.deepEqual(propertiesOf('i8042', path(11)), propertiesOf('i8042', path(3)));
  });

  test('a value with members is compared member by member, because newer versions add some', () => {
    assert.deepEqual(propertiesOf('smp', { cpus: 2, cores: 1 }), [
      ['smp.cpus', '2'],
      ['smp.cores', '1'],
    ]);
  });

  test('a long value is shown by its beginning and its digest', () => {
    const [[, one] = [], [, two] = []] = ['a', 'b'].map(
      (end) => propertiesOf('list', 'x'.repeat(5000) + end)[0] ?? [],
    );
    assert.ok(one !== undefined && two !== undefined && one !== two && one.length <= 256);
  });
});

describe('allowed differences', () => {
  test('an allowed difference is in the documentation, with its reason', () => {
    const page = readFileSync(
      new URL('../../../../src/drivers/qemu/same-machine/README.md', import.meta.url),
      'utf8',
    );
    const rows = REASONS.map(({ name, because }) => `| ${name} | ${because} |\n`);
    assert.ok(page.includes(`| --- | --- |\n${rows.join('')}\n`), rows.join(''));
  });

  for (const reason of REASONS) {
    test(`an allowed difference exists for a reason: ${reason.name}`, () => {
      const [covered, not] = EXAMPLES[reason.name] ?? [];
      assert.ok(covered !== undefined && not !== undefined, 'it has an example');
      const find = ([part, property, source, destination]: Example) =>
        reasonFor({ part, source, destination, ...(property === undefined ? {} : { property }) });
      assert.equal(find(covered), reason);
      assert.notEqual(find(not), reason);
      assert.match(reason.because, /\w+ \w+/);
    });
  }
});
