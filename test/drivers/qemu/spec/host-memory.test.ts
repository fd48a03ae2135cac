import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nodesIn } from '../../../../src/drivers/qemu/host-memory.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import type { HostMemory, LiveObject } from '../../../../src/drivers/qemu/spec/facts.ts';
import { boundHere, boundTo, hugePagesOf } from '../../../../src/drivers/qemu/spec/host-memory.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';

const MIB = 1024 ** 2;
const FILE = '-object memory-backend-file,id=m0,size=512M,mem-path=/dev/shm,prealloc=on,align=4k';

/** A guest whose memory QEMU reports so. */
function described(line: string, memory: HostMemory, live: Partial<LiveObject> = {}) {
  const type = /-object (\S+?),/.exec(line)?.[1] ?? 'memory-backend-file';
  const object = { id: 'm0', type, bytes: 512 * MIB, shared: false, ...live, memory };
  return describeGuest(factsOf(commandLine(`-nodefaults ${line}`), { objects: [object] }));
}

const inDirectory = { path: '/dev/shm', isNamed: false, lasts: false };

describe('memory in a host file', () => {
  test('a memory file becomes memory without a name, as private or as shared as it was', () => {
    for (const shared of [false, true]) {
      const { spec, findings } = described(FILE, { file: inDirectory }, { shared });
      assert.deepEqual(findings, []);
      const type = shared ? 'memory-backend-memfd' : 'memory-backend-ram';
      const props = { prealloc: true, size: 512 * MIB, share: shared };
      assert.deepEqual(spec.objects, [{ type, id: 'm0', props }]);
      guestSpec.parse(spec);
    }
  });

  test('a memory file has huge pages of the same size at the destination', () => {
    const { spec } = described(FILE, { file: inDirectory, pageBytes: 2 * MIB });
    assert.deepEqual(spec.objects[0]?.type, 'memory-backend-memfd');
    assert.deepEqual([...hugePagesOf(spec)], [[2 * MIB, 256]]);
    guestSpec.parse(spec);
  });

  test('huge pages from -mem-path become an object of the machine, and other memory stays plain', () => {
    const line = '-m 512 -mem-path /dev/hugepages';
    const live = { id: 'pc.ram', type: 'memory-backend-file' };
    const huge = described(line, { pageBytes: 2 * MIB }, live);
    assert.equal(huge.spec.machine.props['memory-backend'], 'pc.ram');
    assert.deepEqual([...hugePagesOf(huge.spec)], [[2 * MIB, 256]]);
    const plain = described(line, { pageBytes: 4096 }, live);
    assert.deepEqual([plain.spec.objects, plain.spec.machine.props, plain.findings], [[], {}, []]);
  });

  test('a memory file that other programs could have opened is reported', () => {
    const file = { path: '/srv/ram', isNamed: true, lasts: false };
    const { findings } = described(FILE, { file }, { shared: true });
    assert.deepEqual(
      findings.map(({ kind, reason }) => [kind, reason]),
      [['changed', 'is the file /srv/ram here, and no file there']],
    );
  });

  test('a memory file that is to last cannot move', () => {
    const lasting = { ...inDirectory, lasts: true };
    const nvdimm = '-device nvdimm,memdev=m0,id=nv0';
    for (const [line, file] of [
      [FILE, lasting],
      [`${FILE} ${nvdimm}`, inDirectory],
    ] as const) {
      const [finding] = described(line, { file }).findings;
      assert.deepEqual([finding?.device, finding?.kind], ['m0', 'unmovable']);
      assert.match(finding?.reason ?? '', /lasts in a file/);
    }
  });

  test('a memory file is the main memory only if no device uses it, whatever its size', () => {
    const live = { id: 'dm', type: 'memory-backend-ram' };
    const argv = commandLine('-nodefaults -m 512,slots=1,maxmem=2G');
    const plugged = {
      path: '/machine/peripheral/dimm0',
      id: 'dimm0',
      type: 'pc-dimm',
      bus: undefined,
      addr: undefined,
      mac: undefined,
      netdev: undefined,
      changed: { memdev: 'dm' },
    };
    const object = { ...live, bytes: 512 * MIB, shared: false, memory: {} };
    const { spec } = describeGuest(factsOf(argv, { objects: [object], devices: [plugged] }));
    assert.deepEqual(
      spec.objects.map(({ id }) => id),
      ['dm'],
    );
  });
});

describe('memory bound to host nodes', () => {
  test('a binding moves along, and applies if the destination has all of these nodes', () => {
    const line = '-object memory-backend-ram,id=m0,size=512M,host-nodes=0-1,policy=bind';
    const { spec } = described(line, { policy: 'bind', nodes: [0, 1] });
    const props = spec.objects[0]?.props ?? {};
    assert.deepEqual([props['policy'], props['host-nodes']], ['bind', '0,1']);
    guestSpec.parse(spec);
    assert.deepEqual(boundHere(props, new Set([0, 1, 2])), props);
    assert.deepEqual(Object.keys(boundHere(props, new Set([0]))), ['size']);
  });

  test('memory with a binding needs room on its nodes, with other memory bound there, and unbound memory does not', () => {
    const ram = (id: string, list: string, policy: string) => {
      const props = { size: 512 * MIB, 'host-nodes': list, policy };
      return { type: 'memory-backend-ram', id, props } as const;
    };
    const all = [ram('m0', '0', 'bind'), ram('m1', '0', 'bind'), ram('m2', '1', 'preferred')];
    const onOne = { nodes: [0], bytes: 1024 * MIB, pageBytes: undefined };
    assert.deepEqual(boundTo({ objects: all, devices: [] }), [onOne]);
    const huge = { hugetlb: true, hugetlbsize: 2 * MIB };
    const { props } = ram('m3', '0', 'bind');
    const paged = { type: 'memory-backend-memfd', id: 'm3', props: { ...props, ...huge } } as const;
    assert.deepEqual(boundTo({ objects: [...all, paged], devices: [] }), [
      onOne,
      { nodes: [0], bytes: 512 * MIB, pageBytes: 2 * MIB },
    ]);
    // What may lie on node 0 alone takes of what has both, too.
    const both = { ...ram('m4', '1,0', 'bind') };
    assert.deepEqual(boundTo({ objects: [...all, both], devices: [] }), [
      onOne,
      { nodes: [0, 1], bytes: 1536 * MIB, pageBytes: undefined },
    ]);
  });

  test('memory with a binding needs no more than was requested, even if its guest may grow into more', () => {
    const props = { size: 256 * 1024 * MIB, 'host-nodes': '0', policy: 'bind' };
    const part = { type: 'memory-backend-ram', id: 'vm0', props } as const;
    const given = { memdev: 'vm0', 'requested-size': 8 * 1024 * MIB };
    const device = { driver: 'virtio-mem-pci', props: given };
    const [bound] = boundTo({ objects: [part], devices: [device] });
    assert.equal(bound?.bytes, 8 * 1024 * MIB);
    const grown = { ...part, props: { ...props, prealloc: true, size: '256G' } };
    const [all] = boundTo({ objects: [grown], devices: [device] });
    assert.equal(all?.bytes, 256 * 1024 * MIB);
  });

  test("memory with a binding is compared with the kernel's list of nodes", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 64 }), { minLength: 1 }), (nodes) => {
        assert.deepEqual(nodesIn(nodes.join(',')), new Set(nodes));
      }),
    );
    assert.deepEqual(nodesIn('0-2,5'), new Set([0, 1, 2, 5]));
    assert.deepEqual(nodesIn(''), new Set());
  });
});
