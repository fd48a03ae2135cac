import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { describeGuest, type Draft } from '../../../../../src/drivers/qemu/spec/describe.ts';
import type {
  BlockFacts,
  LiveDisk,
  LiveNode,
} from '../../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import {
  ThrottleGroups,
  belowFilters,
  limitsOf,
} from '../../../../../src/drivers/qemu/spec/disks/disk-filters.ts';
import { blockdevWords } from '../../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import { isFreeId } from '../../../../../src/drivers/qemu/spec/grammar/kinds.ts';
import { judgeDescription, guestSpec } from '../../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { type GuestSpec } from '../../../../../src/drivers/qemu/spec/schema.ts';
import { commandLine, factsOf } from '../facts.ts';
import { liveNode } from '../samples.ts';

const node = (name: string, driver: string, change: Partial<LiveNode> = {}): LiveNode =>
  liveNode(name, driver, { bytes: 1024 ** 2, allocatedBytes: 0, ...change });

const DISK: LiveDisk = {
  drive: '',
  qdev: '/machine/peripheral/v0/virtio-backend',
  root: 'raw0',
  writeCache: true,
  builtIn: undefined,
};

function blocks(disk: Partial<LiveDisk>, more: Partial<BlockFacts> = {}): BlockFacts {
  return {
    disks: [{ ...DISK, ...disk }],
    nodes: [node('raw0', 'raw'), node('file0', 'file')],
    edges: [{ parent: 'raw0', child: 'file0', role: 'file' }],
    jobs: [],
    ...more,
  };
}

/** With a throttle node over a copy-on-read node over the image. */
const FILTERED: Partial<BlockFacts> = {
  nodes: [
    node('t0', 'throttle', { file: 'json:{"throttle-group": "tg", "driver": "throttle"}' }),
    node('cor0', 'copy-on-read', { file: 'json:{"driver": "copy-on-read"}' }),
    node('raw0', 'raw'),
    node('file0', 'file'),
  ],
  edges: [
    { parent: 't0', child: 'cor0', role: 'file' },
    { parent: 'cor0', child: 'raw0', role: 'file' },
    { parent: 'raw0', child: 'file0', role: 'file' },
  ],
  groups: [{ id: 'tg', limits: { 'bps-total': 5 } }],
};

const FILE = '-blockdev driver=file,node-name=file0,filename=/srv/a.img';
const RAW = '-blockdev driver=raw,node-name=raw0,file=file0,discard=unmap';

function draftOf(argv: string, block: BlockFacts): Draft {
  return describeGuest(factsOf(commandLine(`-nodefaults ${argv}`), { block }));
}

const DEVICE = '-device virtio-blk-pci,id=disk0,drive=';
const ON_DISK0 = { qdev: '/machine/peripheral/disk0/virtio-backend' };

function opened(spec: GuestSpec): Record<string, unknown>[] {
  const files = new Map((spec.blockNodes ?? []).map(({ node: name }) => [name, `/pool/${name}`]));
  const words = blockdevWords(spec.blockNodes ?? [], files);
  return words
    .filter((word) => word !== '-blockdev')
    .map((word) => JSON.parse(word) as Record<string, unknown>);
}

describe('filters between an image and its device', () => {
  test('a filter is created again above its image, with its limit group and its discards', () => {
    const group = '-object throttle-group,id=tg,x-bps-total=5';
    const cor = '-blockdev driver=copy-on-read,node-name=cor0,file=raw0';
    const throttle =
      '-blockdev driver=throttle,node-name=t0,file=cor0,throttle-group=tg,discard=unmap';
    const live = { ...FILTERED };
    const facts = blocks({ ...ON_DISK0, root: 't0' }, live);
    const argv = `${group} ${FILE} ${RAW} ${cor} ${throttle} ${DEVICE}t0`;
    const { spec, findings } = describeGuest(
      factsOf(commandLine(argv), {
        block: facts,
        objects: [{ id: 'tg', type: 'throttle-group', bytes: undefined, shared: false }],
      }),
    );
    assert.deepEqual(findings, []);
    guestSpec.parse(spec);
    assert.equal(spec.devices.find(({ id }) => id === 'disk0')?.props['drive'], 't0');
    assert.deepEqual(spec.objects, [
      { type: 'throttle-group', id: 'tg', props: { 'x-bps-total': 5 } },
    ]);
    assert.deepEqual(
      opened(spec).map((each) => [
        each['driver'],
        each['file'],
        each['throttle-group'],
        each['discard'],
      ]),
      [
        ['file', undefined, undefined, 'ignore'],
        ['raw', 'file0', undefined, 'unmap'],
        ['copy-on-read', 'raw0', undefined, 'ignore'],
        ['throttle', 'cor0', 'tg', 'unmap'],
      ],
    );
  });

  test('a drive with copy-on-read or limits gets filters, with an object for the limits', () => {
    const limits = { 'iops-write': 7 };
    const block = blocks({ ...ON_DISK0, drive: 'd0', limits, group: 'my group' });
    const argv = `-drive if=none,id=d0,file=/srv/a.img,format=raw,copy-on-read=on ${DEVICE}d0`;
    const { spec, findings } = draftOf(argv, block);
    assert.deepEqual(findings, []);
    guestSpec.parse(spec);
    assert.deepEqual(spec.objects, [
      { type: 'throttle-group', id: 'throttle-my-group', props: { 'x-iops-write': 7 } },
    ]);
    assert.deepEqual(
      opened(spec).map((each) => each['driver']),
      ['file', 'raw', 'copy-on-read', 'throttle'],
    );
  });

  test("a filter with an unknown setting is refused by the setting's name", () => {
    const cor = '-blockdev driver=copy-on-read,node-name=cor0,file=raw0,bottom=x';
    const throttle = '-blockdev driver=throttle,node-name=t0,file=cor0,throttle-group=tg';
    const block = blocks({ ...ON_DISK0, root: 't0' }, FILTERED);
    const { findings } = draftOf(`${FILE} ${RAW} ${cor} ${throttle} ${DEVICE}t0`, block);
    assert.deepEqual(
      findings.map(({ kind, reason }) => [kind, reason]),
      [['disk', 'its setting `bottom` is unknown to Godwit']],
    );
  });

  test('a filter names no group that the description lacks', () => {
    const block = blocks({ ...ON_DISK0, drive: 'd0', limits: { 'bps-total': 1 }, group: 'd0' });
    const argv = `-drive if=none,id=d0,file=/srv/a.img,format=raw ${DEVICE}d0`;
    const { spec } = draftOf(argv, block);
    assert.deepEqual(judgeDescription(spec), []);
    const refused = judgeDescription({ ...spec, objects: [] });
    assert.deepEqual(
      refused.map(({ path }) => path),
      [['blockNodes', 0, 'filters', 0, 'group']],
    );
  });

  test("the limits of a disk combine its drive's limits and its filters' limits", () => {
    const block = blocks({ root: 't0', limits: { 'iops-total': 3 } }, FILTERED);
    const [disk = DISK] = block.disks;
    assert.deepEqual(limitsOf(disk, block), { 'bps-total': 5, 'iops-total': 3 });
    assert.deepEqual(
      belowFilters('t0', block).filters.map(({ name }) => name),
      ['cor0', 't0'],
    );
  });

  test('the search for filters ends at a loop', () => {
    const edges = [{ parent: 't0', child: 't0', role: 'file' }];
    assert.ok(belowFilters('t0', blocks({}, { ...FILTERED, edges })).filters.length <= 8);
  });

  test('one object holds the limits of all drives of a group, under an id that is free', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string(), { maxLength: 6 }),
        fc.array(fc.string()),
        (names, taken) => {
          const groups = new ThrottleGroups(
            blocks({}),
            taken.map((id) => ({ id })),
          );
          const limits = { 'bps-total': 1 };
          const ids = names.map((group) => groups.of({ ...DISK, limits, group }));
          assert.equal(new Set(ids).size, new Set(names).size);
          assert.equal(groups.made.length, new Set(names).size);
          for (const id of ids) assert.ok(id !== undefined && isFreeId(id) && !taken.includes(id));
        },
      ),
    );
  });
});

describe('a plugged-in disk', () => {
  const image = (raw: Partial<LiveNode>, file: Partial<LiveNode>, unmaps: number): Draft => {
    const nodes = [node('raw0', 'raw', raw), node('file0', 'file', file)];
    const device = {
      path: '/machine/peripheral/disk0',
      id: 'disk0',
      type: 'virtio-blk-pci',
      bus: 'pcie.0',
      addr: '03.0',
      mac: undefined,
      netdev: undefined,
      changed: {},
    };
    const block = blocks({ ...ON_DISK0, unmaps }, { nodes, nativeAio: true });
    return describeGuest(factsOf(commandLine('-nodefaults'), { block, devices: [device] }));
  };

  test('a plugged-in disk passes discards on if that was observed, and else does so and reports it', () => {
    const cases: [Draft, string, number][] = [
      [image({}, { discards: 2 }, 0), 'unmap', 0],
      [image({ detectZeroes: 'unmap' }, {}, 0), 'unmap', 0],
      [image({}, { discards: 0 }, 3), 'ignore', 0],
      [image({}, { discards: 0 }, 0), 'unmap', 1],
    ];
    for (const [{ spec, findings }, discard, said] of cases) {
      const [only] = spec.blockNodes ?? [];
      assert.deepEqual([only?.discard, only?.fileDiscard], [discard, discard]);
      assert.equal(findings.length, said);
      assert.equal(only?.detectZeroes, spec.blockNodes?.[0]?.detectZeroes);
    }
  });

  test('a plugged-in disk uses native I/O without the page cache, and threads with it', () => {
    assert.equal(image({}, {}, 0).spec.blockNodes?.[0]?.aio, 'native');
    assert.equal(image({}, { direct: false }, 0).spec.blockNodes?.[0]?.aio, 'threads');
  });
});
