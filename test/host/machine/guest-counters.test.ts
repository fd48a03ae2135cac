import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  cgroupProcessorMs,
  cgroupResidentBytes,
  countersOf,
  parsePorts,
  readCounters,
  readProc,
} from '../../../src/host/machine/guest-counters.ts';

const NET = `Inter-|   Receive                    |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes
    lo:     9 0 0 0 0 0 0 0 9 0
  tap0: 100 1 0 0 0 0 0 0 200 1
  tap1:1000 1 0 0 0 0 0 0 2000 1
`;
const STAT = `77 (qemu (a) b) S ${'0 '.repeat(10)}150 50 ${'0 '.repeat(6)}4711 0 0`;
const IO = 'rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n';

describe('the counters of a guest', () => {
  test("a guest's counters are its process's and its links', whose other end is the guest", () => {
    const counters = countersOf(
      { pid: 77, ports: ['tap0', 'tap1'] },
      { stat: STAT, io: IO },
      parsePorts(NET),
    );
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

  test("a guest's counters omit unreadable ones", () => {
    const counters = countersOf(
      { pid: 77, ports: ['gone'] },
      { stat: STAT, io: '' },
      parsePorts(NET),
    );
    assert.deepEqual(
      [counters?.readBytes, counters?.inBytes, counters?.processorMs],
      [undefined, undefined, 2000],
    );
    assert.equal(countersOf({ pid: 77, ports: [] }, { stat: '', io: IO }, new Map()), undefined);
  });

  test("the counters of a local process are the kernel's", () => {
    const before = readCounters({ pid: process.pid, ports: [] }, new Map());
    // Of its own processor time: a busy machine may give it none for a while.
    const begun = process.cpuUsage();
    while (process.cpuUsage(begun).user < 60_000);
    const now = readCounters({ pid: process.pid, ports: [] }, new Map());
    assert.ok(before !== undefined && now !== undefined && now.of === before.of);
    assert.ok(now.processorMs > before.processorMs, `${now.processorMs} ms`);
    assert.equal(readCounters({ pid: 2 ** 30, ports: [] }, new Map(), readProc), undefined);
  });

  test("a guest's counters are read from any text", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.boolean(), (stat, io, net, isMany) => {
        const cgroup = isMany ? { processor: 'p', memory: 'm' } : undefined;
        const counted = { pid: 1, ports: ['tap0'], cgroup };
        countersOf(counted, { stat, io, processor: io }, parsePorts(net));
        for (const value of [cgroupProcessorMs(io), cgroupResidentBytes(net)])
          assert.ok(value === undefined || (value >= 0 && Number.isFinite(value)));
      }),
    );
  });

  test('the counters of a guest with a cgroup cover all its processes, in either version of cgroups', () => {
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.nat(1_000_000_000),
        fc.nat(1_000_000_000),
        fc.boolean(),
        (ms, own, mapped, isOld) => {
          const processor = isOld
            ? `${ms * 1e6}\n`
            : `usage_usec ${ms * 1000}\nuser_usec 1\nsystem_usec 1\n`;
          // The cgroup alone has less than it and those below have.
          const memory = isOld
            ? `cache 9\nrss 1\nmapped_file 1\ntotal_rss ${own}\ntotal_mapped_file ${mapped}\n`
            : `anon ${own}\nfile 9\nfile_mapped ${mapped}\nactive_anon 1\n`;
          const counted = { pid: 77, ports: [], cgroup: { processor: '/p', memory: '/m' } };
          const files: Readonly<Record<string, string>> = {
            '77/stat': STAT,
            '77/io': IO,
            '/p': processor,
          };
          const found = readCounters(counted, new Map(), (file) => files[file] ?? '');
          assert.deepEqual(found, {
            of: '77 4711',
            processorMs: ms,
            readBytes: undefined,
            writtenBytes: undefined,
          });
          assert.equal(cgroupResidentBytes(memory), own + mapped);
        },
      ),
    );
  });

  test('a cgroup that does not count gives no counters', () => {
    const counted = { pid: 77, ports: [], cgroup: { processor: '/p', memory: '/m' } };
    assert.equal(countersOf(counted, { stat: STAT, io: IO }, new Map()), undefined);
  });
});
