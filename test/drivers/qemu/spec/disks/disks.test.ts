import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseCommandLine } from '../../../../../src/drivers/qemu/spec/cmdline.ts';
import { describeGuest, type Draft } from '../../../../../src/drivers/qemu/spec/describe.ts';
import type {
  BlockFacts,
  LiveNode,
} from '../../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { blockNodes } from '../../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import { describeDisks } from '../../../../../src/drivers/qemu/spec/disks/disks.ts';
import { blockdevWords } from '../../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import { guestSpec } from '../../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { disk } from '../../../../../src/protocol/disk.ts';
import { commandLine, factsOf } from '../facts.ts';
import { QCOW2, liveNode } from '../samples.ts';

const node = (name: string, driver: string, change: Partial<LiveNode> = {}): LiveNode =>
  liveNode(name, driver, { file: 'vm/top.qcow2', allocatedBytes: 200_704, ...change });

/** A qcow2 image on a backing file, as QEMU reports it; `change` by the names of its nodes. */
function blocksOf(change: Record<string, Partial<LiveNode>> = {}): BlockFacts {
  const base = { file: 'vm/base.qcow2', readOnly: true };
  const nodes = [
    node('#block1', 'qcow2', { backing: { format: 'qcow2' } }),
    node('#block2', 'file'),
    node('#block3', 'qcow2', base),
    node('#block4', 'file', base),
  ];
  const live = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  return {
    disks: [{ drive: 'vda', root: '#block1', writeCache: true, ...live }],
    nodes: nodes.map((each) => ({ ...each, ...change[each.name] })),
    edges: [
      { parent: '#block1', child: '#block2', role: 'file' },
      { parent: '#block1', child: '#block3', role: 'backing' },
      { parent: '#block3', child: '#block4', role: 'file' },
    ],
    jobs: [],
  };
}

const DRIVE = 'if=none,id=vda,file=vm/top.qcow2,format=qcow2,cache=none,aio=native,discard=unmap';

function draftOf(drive = DRIVE, block = blocksOf()): Draft {
  const argv = commandLine(`-nodefaults -drive ${drive} -device virtio-blk-pci,drive=vda,id=disk0`);
  return describeGuest(factsOf(argv, { block, cwd: '/srv' }));
}

const kindsOf = (draft: Draft): string[] => draft.findings.map(({ kind }) => kind);

describe('a disk', () => {
  test('a disk does not move without a data file that its image names', () => {
    const block = blocksOf();
    const data = node('#block5', 'file', { file: 'vm/top.data' });
    const edge = { parent: '#block1', child: '#block5', role: 'data-file' };
    const linked = { ...block, nodes: [...block.nodes, data], edges: [...block.edges, edge] };
    const { findings, spec } = draftOf(DRIVE, linked);
    assert.deepEqual(
      findings.map(({ kind, device, reason }) => [kind, device, reason]),
      [
        [
          'disk-linked',
          'disk0',
          'it needs vm/top.data as its `data-file`, which does not move with it',
        ],
      ],
    );
    assert.ok(spec.blockNodes?.every(({ node: name }) => name !== 'disk0-image'));
  });

  test('a disk is described with its chain, every format, and no path of this host', () => {
    const { spec, disks, findings } = draftOf();
    guestSpec.parse(spec);
    assert.deepEqual(findings, []);
    assert.deepEqual(
      spec.blockNodes?.map(({ node: name, format, backing, readOnly }) => [
        name,
        format,
        backing,
        readOnly,
      ]),
      [
        ['disk0-base1', 'qcow2', undefined, true],
        ['disk0-image', 'qcow2', 'disk0-base1', false],
      ],
    );
    const top = spec.blockNodes?.at(-1);
    assert.deepEqual([top?.aio, top?.discard, top?.fileDiscard], ['native', 'unmap', 'unmap']);
    assert.equal(spec.devices[0]?.props['drive'], 'disk0-image');
    assert.ok(!JSON.stringify(spec).includes('vm/'), 'no path of this host travels');
    assert.deepEqual(
      [...disks.files],
      [
        ['disk0-base1', '/srv/vm/base.qcow2'],
        ['disk0-image', '/srv/vm/top.qcow2'],
      ],
    );
    const [only] = disks.disks.map((each) => disk.parse(each));
    assert.equal(only?.name, 'disk0');
    assert.deepEqual(
      only?.images.map(({ node: name, bytes, allocatedBytes }) => [name, bytes, allocatedBytes]),
      [
        ['disk0-image', 64 * 1024 ** 2, 200_704],
        ['disk0-base1', 64 * 1024 ** 2, 200_704],
      ],
    );
  });

  test('a disk whose format QEMU guessed is refused, at the top and below', () => {
    assert.deepEqual(kindsOf(draftOf('if=none,id=vda,file=vm/top.qcow2')), ['disk-format']);
    const unwritten = blocksOf({ '#block1': { readOnly: true } });
    assert.deepEqual(kindsOf(draftOf('if=none,id=vda,file=vm/top.qcow2', unwritten)), []);
    const silent = blocksOf({ '#block1': { backing: { format: undefined } } });
    assert.deepEqual(kindsOf(draftOf(DRIVE, silent)), ['disk-format']);
    const elsewhere = blocksOf();
    const plugged = {
      ...elsewhere,
      disks: elsewhere.disks.map((each) => ({ ...each, drive: 'x' })),
    };
    assert.deepEqual(kindsOf(draftOf(DRIVE, plugged)), ['disk']);
  });

  test('a disk that is never flushed, or left in a page cache, is refused by its cache mode', () => {
    const unsafe = blocksOf({ '#block1': { noFlush: true }, '#block2': { noFlush: true } });
    assert.deepEqual(kindsOf(draftOf(DRIVE, unsafe)), ['disk-cache']);
    const cached = blocksOf({ '#block2': { direct: false } });
    assert.deepEqual(kindsOf(draftOf(DRIVE, cached)), []);
    const drive = 'if=none,id=vda,file.filename=vm/top.qcow2,file.drop-cache=off,format=qcow2';
    assert.deepEqual(kindsOf(draftOf(drive, cached)), ['disk-cache']);
    const readOnly = blocksOf({ '#block1': { readOnly: true, noFlush: true } });
    assert.deepEqual(kindsOf(draftOf(DRIVE, readOnly)), []);
  });

  test('a disk that is not a file, is encrypted, or has an unknown setting is refused by its name', () => {
    const cases: [string, BlockFacts][] = [
      [DRIVE, blocksOf({ '#block2': { driver: 'nbd' } })],
      [DRIVE, blocksOf({ '#block1': { driver: 'blkdebug' } })],
      [DRIVE, blocksOf({ '#block1': { encrypted: true } })],
      [`${DRIVE},file.x-new=1`, blocksOf()],
      [`${DRIVE},snapshot=on`, blocksOf()],
    ];
    for (const [drive, block] of cases) {
      const { findings, disks } = draftOf(drive, block);
      assert.deepEqual(
        findings.map(({ kind, device }) => [kind, device]),
        [['disk', 'disk0']],
      );
      assert.deepEqual(disks.disks, []);
    }
  });

  test('a disk with an active job is refused, and one with bitmaps reports the loss', () => {
    assert.deepEqual(kindsOf(draftOf(DRIVE, { ...blocksOf(), jobs: ['mirror vda'] })), [
      'unmovable',
    ]);
    const block = blocksOf({ '#block1': { volatileBitmaps: 1 } });
    assert.deepEqual(kindsOf(draftOf(DRIVE, block)), ['changed']);
  });

  test('a disk that other guests may write to moves only if it is not copied', () => {
    const said = (words: string): string => {
      const argv = commandLine(
        `-nodefaults -drive ${DRIVE} -device virtio-blk-pci,drive=vda,id=disk0${words}`,
      );
      const { disks, findings } = describeGuest(
        factsOf(argv, { block: blocksOf({ '#block1': { qcow2: QCOW2 } }), cwd: '/srv' }),
      );
      assert.deepEqual(findings, []);
      return disks.uncopyable.get('disk0-image') ?? '';
    };
    assert.equal(said(''), '');
    assert.equal(said(',share-rw=off'), '');
    assert.match(said(',share-rw=on'), /only on storage that both hosts see/);
  });

  test('a disk reports its recipe, its local name, and why a copy would not be the same', () => {
    const { disks, spec } = draftOf(DRIVE, blocksOf({ '#block1': { qcow2: QCOW2 } }));
    assert.deepEqual([...disks.uncopyable.keys()], ['disk0-base1']);
    assert.equal(spec.blockNodes?.at(-1)?.make?.version, 'v3');
    assert.equal(spec.blockNodes?.[0]?.make, undefined);
    guestSpec.parse(spec);
    const kept = draftOf(DRIVE, blocksOf({ '#block1': { qcow2: QCOW2, snapshots: 2 } }));
    assert.match(kept.disks.uncopyable.get('disk0-image') ?? '', /snapshots/);
    assert.deepEqual(kept.findings, [], 'on shared storage it moves all the same');
    const argv = commandLine(`-drive ${DRIVE} -device virtio-blk-pci,drive=vda,id=disk0`);
    const { live } = describeDisks(parseCommandLine(argv), factsOf(argv, { block: blocksOf() }));
    assert.deepEqual(
      [...live],
      [
        ['disk0-base1', '#block3'],
        ['disk0-image', '#block1'],
      ],
    );
  });

  test('a disk whose file belongs to another image, too, is refused', () => {
    const block = blocksOf();
    const twice = block.edges.map((each) =>
      each.parent === '#block3' ? { ...each, child: '#block2' } : each,
    );
    const { findings } = draftOf(DRIVE, { ...block, edges: twice });
    assert.deepEqual(
      findings.map(({ kind, reason }) => [kind, reason]),
      [['disk', 'another image is on the same node']],
    );
  });

  test('a disk is opened by options that name each format, each backing file and each lock', () => {
    const { spec } = draftOf();
    const files = new Map([
      ['disk0-base1', '/pool/a,b.qcow2'],
      ['disk0-image', '/pool/top.qcow2'],
    ]);
    const words = blockdevWords(spec.blockNodes ?? [], files);
    assert.deepEqual(
      words.filter((_, index) => index % 2 === 0),
      ['-blockdev', '-blockdev', '-blockdev', '-blockdev'],
    );
    const given = words
      .filter((_, index) => index % 2 === 1)
      .map((word) => JSON.parse(word) as Record<string, unknown>);
    assert.deepEqual(
      given.map(({ driver, filename, file, backing }) => [driver, filename ?? file, backing]),
      [
        ['file', '/pool/a,b.qcow2', undefined],
        ['qcow2', 'disk0-base1-file', null],
        ['file', '/pool/top.qcow2', undefined],
        ['qcow2', 'disk0-image-file', 'disk0-base1'],
      ],
    );
  });

  test('any report of QEMU is read without a crash, and a described disk is complete', () => {
    const names = ['#block1', '#block2', 'a', 'b', 'vda'];
    const name = fc.constantFrom(...names);
    const driver = fc.constantFrom('qcow2', 'raw', 'file', 'nbd', 'throttle', 'copy-on-read');
    const live = fc.record({
      drive: fc.constantFrom('', 'vda', 'ide0-hd0'),
      qdev: fc.constantFrom(
        '/machine/peripheral/disk0',
        '/machine/unattached/device[1]',
        undefined,
      ),
      root: fc.option(name, { nil: undefined }),
      writeCache: fc.boolean(),
      builtIn: fc.constantFrom(undefined, { type: 'ide-hd', bus: 'ide.0', unit: 0 }),
    });
    const edge = fc.record({
      parent: name,
      child: name,
      role: fc.constantFrom('file', 'backing', 'target'),
    });
    const facts = fc.record({
      disks: fc.array(live, { maxLength: 4 }),
      nodes: fc.uniqueArray(
        fc.tuple(name, driver).map(([each, kind]) => node(each, kind)),
        { selector: (each) => each.name },
      ),
      edges: fc.array(edge, { maxLength: 8 }),
      jobs: fc.constant([]),
    });
    const given = fc.constantFrom(
      DRIVE,
      'if=ide,file=x,format=raw',
      'driver=qcow2,node-name=a,file.driver=file,file.filename=x',
    );
    fc.assert(
      fc.property(facts, given, (block, drive) => {
        const { spec, disks } = draftOf(drive, block);
        if (spec.blockNodes === undefined) return;
        const nodes = blockNodes.parse(spec.blockNodes);
        const described = new Set(nodes.map((each) => each.node));
        for (const each of disks.disks) {
          disk.parse(each);
          for (const image of each.images) assert.ok(described.has(image.node));
        }
        assert.deepEqual([...disks.files.keys()].toSorted(), [...described].toSorted());
      }),
    );
  });
});
