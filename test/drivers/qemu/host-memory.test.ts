import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { availableIn, memoryChecks } from '../../../src/drivers/qemu/host-memory.ts';

const MIB = 1024 ** 2;
const props = { size: 512 * MIB, hugetlb: true, hugetlbsize: 2 * MIB };
const objects = [{ type: 'memory-backend-memfd', id: 'm0', props } as const];

test('a destination with too few free huge pages is refused, with the number to add', async (t) => {
  const counts = mkdtempSync(path.join(tmpdir(), 'godwit-huge-pages-'));
  t.after(() => rmSync(counts, { recursive: true, force: true }));
  const found = async (free: number, reserved: number) => {
    const folder = path.join(counts, 'hugepages-2048kB');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'free_hugepages'), `${free}\n`);
    writeFileSync(path.join(folder, 'resv_hugepages'), `${reserved}\n`);
    return memoryChecks({ objects, devices: [] }, 'b', { hugePages: counts, nodes: counts });
  };
  assert.deepEqual(await found(256, 0), []);
  // Those that are promised to others are no room.
  const [short] = await found(256, 6);
  assert.deepEqual(
    [short?.name, short?.verdict, short?.error?.code],
    ['memory', 'refuse', 'GODWIT_HOST_LACKS'],
  );
  assert.match(short?.error?.message ?? '', /256 free huge pages of 2 MiB .*: it has 250/);
  assert.match(short?.error?.hint ?? '', /add 6 to /);
  rmSync(path.join(counts, 'hugepages-2048kB'), { recursive: true });
  const [none] = await memoryChecks({ objects, devices: [] }, 'b', {
    hugePages: counts,
    nodes: counts,
  });
  assert.match(none?.error?.message ?? '', /it has 0$/);
});

/** As the kernel has it, KiB. */
const meminfo = (node: number, free: number, cached: number): string =>
  `Node ${node} MemTotal:       ${free * 4} kB
Node ${node} MemFree:        ${free} kB
Node ${node} Active:         ${cached * 9} kB
Node ${node} Active(file):   ${cached} kB
Node ${node} Inactive(file): ${cached} kB
Node ${node} SReclaimable:   ${cached} kB
Node ${node} HugePages_Free:     0
`;

test('the free memory of a node includes the memory that it would reclaim', () => {
  assert.equal(availableIn(meminfo(3, 1000, 10)), 1030 * 1024);
  // A kernel that says nothing has no lack.
  assert.equal(availableIn(''), Infinity);
});

test('a destination whose nodes lack room for bound memory is refused, though other nodes have enough', async (t) => {
  const nodes = mkdtempSync(path.join(tmpdir(), 'godwit-nodes-'));
  t.after(() => rmSync(nodes, { recursive: true, force: true }));
  writeFileSync(path.join(nodes, 'has_memory'), '0-1\n');
  for (const [node, freeMib] of [300, 4096].entries()) {
    const folder = path.join(nodes, `node${node}`, 'hugepages', 'hugepages-2048kB');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(nodes, `node${node}`, 'meminfo'), meminfo(node, freeMib * 1024, 0));
    writeFileSync(path.join(folder, 'free_hugepages'), `${freeMib / 2}\n`);
  }
  const hugePages = path.join(nodes, 'node1', 'hugepages');
  const found = async (list: string, policy: string, huge = false) => {
    const bound = { size: 512 * MIB, 'host-nodes': list, policy };
    const object = huge
      ? ({ type: 'memory-backend-memfd', id: 'm0', props: { ...props, ...bound } } as const)
      : ({ type: 'memory-backend-ram', id: 'm0', props: bound } as const);
    const backed = { objects: [object], devices: [] };
    const checks = await memoryChecks(backed, 'b', { hugePages, nodes });
    return checks.map(({ name, verdict, error, evidence }) => [
      name,
      verdict,
      error?.message ?? evidence,
    ]);
  };
  const [short, ...others] = await found('0', 'bind');
  assert.deepEqual([short?.slice(0, 2), others], [['memory', 'refuse'], []]);
  assert.match(String(short?.[2]), /512 MiB on memory node 0 for .*: 300 MiB are free there/);
  assert.deepEqual(await found('1', 'bind'), []);
  assert.deepEqual(await found('0,1', 'bind'), []);
  // These take memory elsewhere where the node has none.
  for (const policy of ['preferred', 'interleave']) assert.deepEqual(await found('0', policy), []);
  // Once, though the host has too few in all as well.
  rmSync(path.join(hugePages, 'hugepages-2048kB'), { recursive: true });
  const [huge, ...more] = await found('0', 'bind', true);
  assert.deepEqual(more, []);
  assert.match(String(huge?.[2]), /256 free huge pages of 2 MiB on memory node 0 .*: it has 150$/);
  // All that lacks is said at once, also where memory of both kinds is bound to one node.
  const both = [
    { type: 'memory-backend-ram', id: 'm0', props: { size: 512 * MIB } },
    { type: 'memory-backend-memfd', id: 'm1', props },
  ].map((each) => ({ ...each, props: { ...each.props, 'host-nodes': '0', policy: 'bind' } }));
  const all = await memoryChecks({ objects: both as never, devices: [] }, 'b', {
    hugePages,
    nodes,
  });
  assert.deepEqual(
    all.map(({ name, verdict }) => [name, verdict]),
    [
      ['memory', 'refuse'],
      ['memory', 'refuse'],
    ],
  );
  // What a host lacks altogether it is bound to no more, and needs no room on it.
  const [lacking] = await found('2', 'bind');
  assert.deepEqual(lacking?.slice(0, 2), ['devices', 'warn']);
  // A kernel that does not count by node refuses nothing.
  rmSync(path.join(nodes, 'node0', 'meminfo'));
  assert.deepEqual(await found('0', 'bind'), []);
});
