import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Load } from '../../../src/agent/host/load.ts';
import * as parse from '../../../src/agent/host/load-parse.ts';
import type { Counters } from '../../../src/agent/host/load-parse.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { hostLoad } from '../../../src/protocol/public/hosts/load.ts';
import { fleet, guest } from '../samples.ts';

const STAT =
  'cpu  100 0 100 700 100 0 0 50 20 0\ncpu0 50 0 50 350 50 0 0 25\ncpu1 50 0 50 350 50 0 0 25\n';
const LATER = 'cpu  500 0 300 800 200 0 0 150 90 0\ncpu0 1 1\ncpu1 1 1\n';
const MEMORY = { totalBytes: 8, availableBytes: 4, swapUsedBytes: 0 };

function counters(atMs: number, stat: string, more: Partial<Counters> = {}): Counters {
  const still = { inBytes: 0, outBytes: 0 };
  const pressure = { cpu: undefined, memory: undefined, io: undefined };
  const processor = parse.parseStat(stat);
  const none = { network: still, disk: still, pressure, guests: new Map() };
  return { atMs, processor, ...none, ...more };
}

describe('the load of a host', () => {
  test("the CPU load is the processors' work between two samples, including stolen time", () => {
    const { processor } = parse.loadBetween(counters(0, STAT), counters(10_000, LATER), MEMORY);
    // 900 ticks, of which 200 were idle or waited for disks, and 100 stolen.
    assert.deepEqual(processor, { cores: 2, used: 0.778, steal: 0.111 });
  });

  test('the CPU load of a cgroup is its use over the processors that it may fill', () => {
    const text = (usec: number) =>
      `usage_usec ${usec}\nuser_usec 1\nsystem_usec 1\nnr_throttled 0\n`;
    const at = (atMs: number, usec: number): Counters => {
      const processor = parse.parseCgroupStat(text(usec), 2, atMs);
      assert.ok(processor !== undefined);
      return { ...counters(atMs, ''), processor };
    };
    // 15 of the 20 seconds of two processors.
    const { processor } = parse.loadBetween(at(5000, 70_000_000), at(15_000, 85_000_000), MEMORY);
    assert.deepEqual(processor, { cores: 2, used: 0.75, steal: 0 });
    assert.equal(parse.parseCgroupStat('nr_throttled 0\n', 2, 0), undefined);
  });

  test("the processors of a cgroup are counted by its cpu.max, and never exceed the machine's", () => {
    const cores = ['max 100000\n', '150000 100000\n', '20000 100000\n', '900000 100000\n', ''];
    assert.deepEqual(
      cores.map((text) => parse.parseCgroupCores(text, 4)),
      [4, 2, 1, 4, 4],
    );
  });

  test('the load has the waiting time of tasks if the kernel reports it', () => {
    const text =
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
    const later = text.replace('total=1000000', 'total=3500000');
    const of = (memory: string) => ({
      cpu: undefined,
      io: undefined,
      memory: parse.parsePressure(memory),
    });
    const before = counters(0, STAT, { pressure: of(text) });
    const now = counters(10_000, LATER, { pressure: of(later) });
    const load = parse.loadBetween(before, now, MEMORY);
    assert.deepEqual(load.pressure, { memorySome: 0.25, memoryFull: 0 });
    const without = parse.loadBetween(counters(0, STAT), counters(1, LATER), MEMORY);
    assert.equal('pressure' in without, false);
  });

  test("the load counts the host's links and disks, and forwarded traffic once", () => {
    const net =
      'Inter-|\n face |bytes\n  lo: 9 0 0 0 0 0 0 0 9 0\n eth0: 100 1 0 0 0 0 0 0 200 1\n  br0: 100 1 0 0 0 0 0 0 200 1\n';
    assert.deepEqual(parse.parseNetwork(net, new Set(['eth0'])), { inBytes: 100, outBytes: 200 });
    assert.deepEqual(parse.parseNetwork(net, new Set()), { inBytes: 200, outBytes: 400 });
    const disks =
      '   8 0 sda 1 0 10 0 1 0 20 0 0\n   8 1 sda1 1 0 10 0 1 0 20 0 0\n   7 0 loop0 1 0 99 0 1 0 99 0 0\n';
    assert.deepEqual(parse.parseDisks(disks, new Set(['sda'])), {
      inBytes: 5120,
      outBytes: 10_240,
    });
  });

  test('the load of a guest counts only its own process', () => {
    const guests = (ticks: number, of = '7 1') =>
      new Map([['web1', { of, ticks, residentBytes: 5 }]]);
    const between = (one: Map<string, parse.GuestUse>, other: Map<string, parse.GuestUse>) =>
      parse.loadBetween(
        counters(0, STAT, { guests: one }),
        counters(10_000, LATER, { guests: other }),
        MEMORY,
      ).guests;
    assert.deepEqual(between(guests(0), guests(1500)), [
      { name: 'web1', cores: 1.5, residentBytes: 5 },
    ]);
    assert.deepEqual(between(guests(0, '7 1'), guests(1500, '7 2')), []);
  });

  test("the load is within its bounds, whatever the kernel's texts are", () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'cpu  ',
        'cpu0 ',
        'some ',
        'full ',
        'total=',
        'eth0:',
        '\n',
        ' ',
        ')',
        'VmRSS: 5 kB\n',
        'SwapTotal: 5 kB\n',
      ),
      fc.nat().map(String),
    );
    const text = fc.array(word, { maxLength: 40 }).map((words) => words.join(''));
    const look = fc.tuple(text, text, text, fc.nat()).map(([stat, pressure, flow, atMs]) => {
      const use = parse.parseProcess(1, flow, stat);
      return counters(atMs, stat, {
        pressure: {
          cpu: parse.parsePressure(pressure),
          memory: parse.parsePressure(flow),
          io: undefined,
        },
        network: parse.parseNetwork(flow, new Set(['eth0'])),
        disk: parse.parseDisks(flow, new Set()),
        guests: new Map(use === undefined ? [] : [['web1', use]]),
      });
    });
    fc.assert(
      fc.property(look, look, text, (before, now, meminfo) => {
        const memory = { ...MEMORY, swapUsedBytes: parse.parseSwapUsed(meminfo) };
        const load = { at: 'now', ...parse.loadBetween(before, now, memory) };
        assert.deepEqual(hostLoad.safeParse(load).error, undefined);
      }),
    );
    // Found by the property once: a terabyte within the first millisecond.
    const jumped = { ...counters(0, ''), disk: { inBytes: 1_000_000_000_512, outBytes: 0 } };
    const load = { at: 'now', ...parse.loadBetween(counters(0, ''), jumped, MEMORY) };
    assert.deepEqual(hostLoad.safeParse(load).error, undefined);
  });
});

test('this machine is sampled while it has a follower', async () => {
  const parts = { clock: systemClock, log: silentLog };
  const load = new Load(() => [{ name: 'me', pid: process.pid }], parts);
  const feed = load.follow();
  await new Promise<void>((resolve) => {
    feed.waiting.add(resolve);
  });
  const sample = hostLoad.parse(feed.newest());
  feed.release();
  assert.equal(feed.count(), 1);
  assert.ok(sample.memory.totalBytes > 0 && sample.overMs >= 900, JSON.stringify(sample));
  assert.equal(sample.guests[0]?.name, 'me');
  assert.ok((sample.guests[0]?.residentBytes ?? 0) > 1_000_000);
});

/** A container over two looks, a second apart; its first process uses nothing. */
async function boxWith(memoryOfCgroup: string) {
  let usedMs = 0;
  const reader = {
    own: async () => new Set<string>(),
    proc: async (file: string) => {
      if (file === '7/stat') return `7 (sh) S ${'0 '.repeat(10)}0 0 ${'0 '.repeat(6)}5 0`;
      if (file === '7/status') return 'VmRSS:\t4 kB\n';
      // Half a processor more in each second.
      if (file === '/cg/cpu') return `usage_usec ${(usedMs += 500) * 1000}\n`;
      return file === '/cg/memory' ? memoryOfCgroup : '';
    },
  };
  const cgroup = { processor: '/cg/cpu', memory: '/cg/memory' };
  const looks = [0, 1000];
  const clock = { ...systemClock, monotonicMs: () => looks.shift() ?? 1000 };
  const guests = () => [{ name: 'box', pid: 7, cgroup }];
  const load = new Load(guests, { clock, log: silentLog }, reader);
  const feed = load.follow();
  await new Promise<void>((resolve) => {
    feed.waiting.add(resolve);
  });
  feed.release();
  return feed.newest()?.guests;
}

test('a guest of several processes is counted by its cgroup, not by its first process', async () => {
  const found = await boxWith('anon 1000000\nfile_mapped 234\n');
  assert.deepEqual(found, [{ name: 'box', cores: 0.5, residentBytes: 1_000_234 }]);
});

test('a guest whose cgroup counts no memory is counted by its first process', async () => {
  assert.deepEqual(await boxWith(''), [{ name: 'box', cores: 0, residentBytes: 4096 }]);
});

test('a host is sampled until its last follower has left, and not afterwards', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let reads = 0;
  const guests = () => {
    reads += 1;
    return [];
  };
  const reader = { proc: async () => STAT, own: async () => new Set<string>() };
  const load = new Load(guests, { clock: systemClock, log: silentLog }, reader);
  /** So many looks are due within that time. */
  const readIn = async (ms: number): Promise<number> => {
    const before = reads;
    t.mock.timers.tick(ms);
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
    return reads - before;
  };
  const [one, other] = [load.follow(), load.follow()];
  assert.equal(await readIn(0), 0, 'it was read before it was followed');
  assert.equal(reads, 1);
  assert.equal(await readIn(1000), 1);
  one.release();
  one.release();
  assert.equal(await readIn(10_000), 1);
  other.release();
  assert.equal(await readIn(60_000), 0);
  load.follow();
  await readIn(0);
  assert.equal(await readIn(1000), 1);
});

test('a follower of a host gets samples only on request, with the id of the previous event', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')] });
  assert.ok('load' in agentContract.hostEvents.query.shape);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const follow = async (query: { load?: 'true' }, forMs: number): Promise<string[]> => {
    const seen: string[] = [];
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(forMs)]);
    try {
      for await (const event of a.api.hostEvents({ query }, { signal })) {
        seen.push(`${event.type} ${event.id}`);
        if (event.type === 'load') break;
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
    return seen;
  };
  const [withLoad, without] = await Promise.all([
    follow({ load: 'true' }, 20_000),
    follow({}, 3000),
  ]);
  const [ready = '', ...rest] = withLoad;
  const load = rest.at(-1) ?? '';
  assert.match(ready, /^ready /);
  assert.match(load, /^load /);
  const before = withLoad.at(-2) ?? '';
  assert.equal(load.split(' ')[1], before.split(' ')[1]);
  assert.ok(!without.some((each) => each.startsWith('load')), without.join());
});
