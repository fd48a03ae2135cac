import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { countersOf, parsePorts, readCounters, readProc } from '../../src/host/guest-counters.ts';

const NET = `Inter-|   Receive                    |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes
    lo:     9 0 0 0 0 0 0 0 9 0
  tap0: 100 1 0 0 0 0 0 0 200 1
  tap1:1000 1 0 0 0 0 0 0 2000 1
`;
const STAT = `77 (qemu (a) b) S ${'0 '.repeat(10)}150 50 ${'0 '.repeat(6)}4711 0 0`;
const IO = 'rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n';

describe('the counters of a guest', () => {
  test('are its process’s and its links’, whose other end is the guest', () => {
    const counters = countersOf({ pid: 77, ports: ['tap0', 'tap1'] }, STAT, IO, parsePorts(NET));
    assert.deepEqual(counters, {
      of: '77 4711',
      processorMs: 2000,
      readBytes: 4096,
      writtenBytes: 8192,
      ports: ['tap0', 'tap1'],
      inBytes: 2200,
      outBytes: 1100,
    });
  });

  test('leave out what cannot be read', () => {
    const counters = countersOf({ pid: 77, ports: ['gone'] }, STAT, '', parsePorts(NET));
    assert.deepEqual(
      [counters?.readBytes, counters?.inBytes, counters?.processorMs],
      [undefined, undefined, 2000],
    );
    assert.equal(countersOf({ pid: 77, ports: [] }, '', IO, new Map()), undefined);
  });

  test('of a process of this host are what the kernel counts', () => {
    const before = readCounters({ pid: process.pid, ports: [] }, new Map());
    // Of its own processor time: a busy machine may give it none for a while.
    const begun = process.cpuUsage();
    while (process.cpuUsage(begun).user < 60_000);
    const now = readCounters({ pid: process.pid, ports: [] }, new Map());
    assert.ok(before !== undefined && now !== undefined && now.of === before.of);
    assert.ok(now.processorMs > before.processorMs, `${now.processorMs} ms`);
    assert.equal(readCounters({ pid: 2 ** 30, ports: [] }, new Map(), readProc), undefined);
  });

  test('are read from whatever text there is', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (stat, io, net) => {
        countersOf({ pid: 1, ports: ['tap0'] }, stat, io, parsePorts(net));
      }),
    );
  });
});
