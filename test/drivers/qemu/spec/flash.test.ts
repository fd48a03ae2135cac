import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildArgv } from '../../../../src/drivers/qemu/spec/argv.ts';
import { describeGuest, type Draft } from '../../../../src/drivers/qemu/spec/describe.ts';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import {
  codeNodes,
  flashUnit,
  isChipNode,
  keptName,
} from '../../../../src/drivers/qemu/spec/flash.ts';
import { judgeFlash, guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { type GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { commandLine, factsOf } from './facts.ts';

const CODE = '/usr/share/OVMF/OVMF_CODE.fd';
const STORE = '/srv/vm/web1_VARS.fd';
const KNOWN = { name: 'OVMF_CODE.fd', bytes: 1_966_080, sha256: 'c'.repeat(64) };

/** What QEMU reports of two chips; `drives`: the names of their drives, empty for block nodes. */
function chipsOf(
  drives: readonly [string, string],
  roots: readonly [string, string],
  machine = 'system',
): BlockFacts {
  const files = [CODE, STORE];
  const nodes = roots.flatMap((root, unit): LiveNode[] => {
    const common = {
      file: files[unit] ?? '',
      readOnly: unit === 0,
      direct: false,
      noFlush: false,
      detectZeroes: 'off' as const,
      encrypted: false,
      bytes: 540_672,
      allocatedBytes: 540_672,
      backing: undefined,
      volatileBitmaps: 0,
    };
    return [
      { name: root, driver: 'raw', ...common },
      { name: `${root}-f`, driver: 'file', ...common },
    ];
  });
  return {
    disks: roots.map((root, unit) => ({
      drive: drives[unit] ?? '',
      qdev: `/machine/${machine}.flash${unit}`,
      root,
      writeCache: true,
      limited: false,
      builtIn: undefined,
    })),
    nodes,
    edges: roots.map((root) => ({ parent: root, child: `${root}-f`, role: 'file' })),
    jobs: [],
  };
}

function draftOf(words: string, block: BlockFacts): Draft {
  return describeGuest(factsOf(commandLine(`-M q35 -nodefaults ${words}`), { block }));
}

const DRIVES = `-drive if=pflash,format=raw,unit=0,readonly=on,file=${CODE} -drive if=pflash,format=raw,unit=1,file=${STORE}`;
const asDrives = (words = DRIVES): Draft =>
  draftOf(words, chipsOf(['pflash0', 'pflash1'], ['#block1', '#block2']));

/** As libvirt gives them. */
function asNodes(): Draft {
  const node = (unit: number, file: string): string => {
    const name = `libvirt-pflash${unit}`;
    const read = unit === 0;
    const at = { driver: 'file', filename: file, 'node-name': `${name}-storage` };
    const above = { 'node-name': `${name}-format`, 'read-only': read, driver: 'raw' };
    return [at, { ...above, file: `${name}-storage` }]
      .map((each) => `-blockdev ${JSON.stringify(each)}`)
      .join(' ');
  };
  const roots = ['libvirt-pflash0-format', 'libvirt-pflash1-format'] as const;
  const line = `-machine pc-q35-7.2,pflash0=${roots[0]},pflash1=${roots[1]} ${node(0, CODE)} ${node(1, STORE)}`;
  return draftOf(line, chipsOf(['', ''], roots));
}

const withImage = ({ spec }: Draft): GuestSpec => ({
  ...spec,
  flash: (spec.flash ?? []).map((each) => (each.unit === 0 ? { ...each, image: KNOWN } : each)),
});

describe('chips of a machine’s firmware', () => {
  for (const [how, draft] of [
    ['drives', asDrives()],
    ['block nodes', asNodes()],
  ] as const) {
    test(`chips given as ${how} are read: the code is known by its content, the store is a disk`, () => {
      assert.deepEqual(draft.findings, []);
      assert.deepEqual(draft.spec.flash, [
        { unit: 0, node: 'pflash0-image' },
        { unit: 1, node: 'pflash1-image' },
      ]);
      assert.deepEqual([...draft.codeFiles], [[0, CODE]]);
      assert.deepEqual([...draft.disks.files], [['pflash1-image', STORE]]);
      const [store, ...more] = draft.disks.disks;
      assert.deepEqual(more, []);
      assert.equal(store?.name, 'pflash1');
      assert.equal(store?.images[0]?.readOnly, false);
      assert.deepEqual(guestSpec.parse(withImage(draft)), withImage(draft));
    });
  }

  test('chips are the same in a description of the guest at the destination', () => {
    const names = ['pflash0-image', 'pflash1-image'] as const;
    const opened = names.map((name, unit) => {
      const at = { driver: 'file', filename: [CODE, STORE][unit], 'node-name': `${name}-f` };
      const above = { driver: 'raw', 'node-name': name, file: `${name}-f` };
      return `-blockdev ${JSON.stringify(at)} -blockdev ${JSON.stringify(above)}`;
    });
    const line = `-machine q35,pflash0=${names[0]},pflash1=${names[1]} ${opened.join(' ')}`;
    const again = draftOf(line, chipsOf(['', ''], names));
    assert.deepEqual(again.spec.flash, asDrives().spec.flash);
  });

  test("chips are on the nodes of the machine's settings, the code read-only", () => {
    const spec = withImage(asDrives());
    const files = new Map([
      ['pflash0-image', '/fw/code'],
      ['pflash1-image', '/vm/vars'],
    ]);
    const argv = buildArgv(spec, {
      guest: 'web1',
      guestDir: '/g',
      logDir: '/g',
      images: new Map(),
      romfiles: new Map(),
      disks: files,
      ports: new Map(),
      features: [],
      vhost: false,
      nodes: new Set([0]),
      pipes: false,
    });
    const machine = argv[argv.indexOf('-machine') + 1] ?? '';
    assert.match(machine, /,pflash0=pflash0-image,pflash1=pflash1-image$/);
    const known = argv.filter((word) => word.includes('"/fw/code"'));
    assert.equal(known.length, 1);
    assert.match(known[0] ?? '', /"read-only":true/);
  });

  test('chips are distinguished by their unit, in any order', () => {
    const reversed = DRIVES.split(' -drive ').toReversed().join(' -drive ');
    assert.deepEqual(asDrives(`-drive ${reversed.replace('-drive ', '')}`).spec, asDrives().spec);
  });

  test('a store whose format QEMU guessed is refused, because the guest may have written it', () => {
    const { findings } = asDrives(DRIVES.replaceAll('format=raw,', ''));
    assert.deepEqual(
      findings.map(({ kind, device }) => [kind, device]),
      [['disk-format', 'pflash1']],
    );
  });

  test('chips on a temporary overlay are refused', () => {
    const { findings } = asDrives(DRIVES.replace('unit=1', 'unit=1,snapshot=on'));
    assert.match(findings[0]?.reason ?? '', /temporary/);
  });

  test('chips are found on x86 and on ARM', () => {
    assert.equal(flashUnit('/machine/system.flash1'), 1);
    assert.equal(flashUnit('/machine/virt.flash0'), 0);
    assert.equal(flashUnit('/machine/peripheral/flash0'), undefined);
    assert.equal(flashUnit(undefined), undefined);
  });

  test('chips have the same node names everywhere, and disks keep theirs', () => {
    assert.equal(keptName('libvirt-pflash1-format', 'pflash1'), '');
    assert.equal(keptName('pflash1-image', 'pflash1'), 'pflash1-image');
    assert.equal(keptName('root', 'vda'), 'root');
    assert.ok(isChipNode('pflash1-image') && !isChipNode('vda-image'));
  });
});

describe("a peer's firmware", () => {
  const spec = withImage(asDrives());
  const refused = (change: Partial<GuestSpec>): string[] =>
    judgeFlash({ ...spec, ...change }).map(({ path, allowed }) => `${path.join('.')}: ${allowed}`);
  const [code, store] = spec.flash ?? [];
  assert.ok(code !== undefined && store !== undefined);

  test("a peer's firmware is accepted if each chip is on a separate image", () => {
    assert.deepEqual(refused({}), []);
    assert.deepEqual([...codeNodes(spec)], ['pflash0-image']);
  });

  test('a chip that is given twice, and two chips on one node, are refused', () => {
    const allowed = 'flash.1: each chip once, on a node of its own';
    assert.deepEqual(refused({ flash: [code, { ...store, unit: 0 }] }), [allowed]);
    assert.deepEqual(refused({ flash: [code, { ...store, node: code.node }] }), [allowed]);
  });

  test('a chip on an undescribed node, or one below another node, is refused', () => {
    const allowed = 'flash.0: the uppermost node of an image';
    assert.deepEqual(refused({ flash: [{ ...code, node: 'other' }] }), [allowed]);
    const nodes = (spec.blockNodes ?? []).map((each) =>
      each.node === store.node ? { ...each, backing: code.node } : each,
    );
    assert.deepEqual(refused({ flash: [code], blockNodes: nodes }), [allowed]);
  });

  test('code with a backing file, or larger than firmware is, is refused', () => {
    const nodes = (spec.blockNodes ?? []).map((each) =>
      each.node === code.node ? { ...each, backing: 'base' } : each,
    );
    assert.deepEqual(refused({ blockNodes: nodes }), ['flash.0: an image without a backing file']);
    const large = { ...code, image: { ...KNOWN, bytes: 2 ** 30 } };
    assert.deepEqual(refused({ flash: [large] }), ['flash.0: at most 67108864 bytes']);
  });

  test('no device gets a chip for its disk', () => {
    const device = { driver: 'virtio-blk-pci', props: { drive: store.node } };
    const parsed = guestSpec.safeParse({ ...spec, devices: [device] });
    assert.equal(parsed.success, false);
  });
});
