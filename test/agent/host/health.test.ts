import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Health, healthReader } from '../../../src/agent/host/health.ts';
import * as parse from '../../../src/agent/host/health-parse.ts';
import type { HealthLook, LinkState } from '../../../src/agent/host/health-parse.ts';
import type { Clock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import {
  healthSignal,
  hostHealth,
  MAX_SIGNALS,
  type HostHealth,
} from '../../../src/protocol/public/hosts/health.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const MINUTE_MS = 60_000;

const look = (atMs: number, more: Partial<HealthLook> = {}): HealthLook => ({
  atMs,
  memory: [],
  temperatures: [],
  links: [],
  disks: [],
  ...more,
});
const link = (more: Partial<LinkState> = {}): LinkState => ({
  part: 'eth0',
  carrier: true,
  errors: 0,
  packets: 0,
  changes: 0,
  ...more,
});
const levels = (looks: readonly HealthLook[]): string[] =>
  parse.signalsOf(looks).map(({ kind, level }) => `${kind} ${level}`);

/** A host of files: what the kernel would have under /sys, and a smartctl that prints these. */
function host(t: TestContext, files: Readonly<Record<string, string>>, smart?: [string, string]) {
  const root = tempDir(t);
  const write = (name: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const program = path.join(root, 'smartctl');
  if (smart !== undefined) {
    write('scan.json', smart[0]);
    write('disk.json', smart[1]);
    const script = `#!/bin/sh\n[ "$1" = --scan ] && exec cat ${root}/scan.json\ncat ${root}/disk.json\nexit 8\n`;
    writeFileSync(program, script, { mode: 0o755 });
  }
  let nowMs = 0;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
  };
  const health = new Health({ clock, log: silentLog }, healthReader(root, program));
  const after = async (ms: number): Promise<HostHealth> => {
    nowMs += ms;
    await health.lookAtDisks();
    return hostHealth.parse(await health.look());
  };
  return { write, after };
}

describe('hardware health', () => {
  test("the health is read from the kernel's files and from smartctl, whatever its exit code", async (t) => {
    const scan =
      '{"devices":[{"name":"/dev/sda","type":"sat"},{"name":"-x /dev/sdb","type":"sat"}]}';
    const disk = JSON.stringify({
      smart_status: { passed: false },
      ata_smart_attributes: {
        table: [
          { id: 197, raw: { value: 8 } },
          { id: 1, raw: {} },
        ],
      },
    });
    const files = {
      'devices/system/edac/mc/mc0/ce_count': '5\n',
      'devices/system/edac/mc/mc0/ue_count': '1\n',
      'class/hwmon/hwmon0/name': 'coretemp\n',
      'class/hwmon/hwmon0/temp1_input': '101000\n',
      'class/hwmon/hwmon0/temp1_crit': '100000\n',
      'class/hwmon/hwmon0/temp1_label': 'Package id 0\n',
      'class/net/eth0/device/vendor': '0x8086\n',
      'class/net/eth0/carrier': '1\n',
      'class/net/br0/carrier': '0\n',
    };
    const { after } = host(t, files, [scan, disk]);
    const { signals, notRead } = await after(0);
    assert.deepEqual(
      signals.map(({ kind, level, part, words }) => `${level} ${kind} ${part}: ${words}`),
      [
        'failing memory mc0: 1 errors that were not corrected since the host started',
        'failing disk /dev/sda: the disk says that it is about to fail',
        'failing temperature coretemp Package id 0: 101 °C, critical from 100 °C',
        'warning disk /dev/sda: 8 sectors wait to be replaced',
      ],
    );
    assert.deepEqual(notRead, []);
  });

  test('the health is "not reported" on a host without any source of it', async (t) => {
    const { signals, notRead } = await host(t, {}).after(0);
    assert.deepEqual(signals, []);
    assert.equal(notRead.length, 3);
  });

  test('the health is answered at once while a disk does not answer', async (t) => {
    const reader = { ...healthReader(tempDir(t)), smartctl: () => new Promise<never>(() => {}) };
    const clock: Clock = { wallMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };
    const health = new Health({ clock, log: silentLog }, reader);
    void health.lookAtDisks();
    const { notRead } = await health.look();
    assert.ok(notRead.some((words) => words.startsWith('disks: they have not been asked')));
  });

  test('errors count if they came within the day, not if they were there before', async (t) => {
    const count = 'devices/system/edac/mc/mc0/ce_count';
    const { write, after } = host(t, { [count]: '900' });
    assert.deepEqual((await after(0)).signals, []);
    write(count, '903');
    const [signal] = (await after(10 * MINUTE_MS)).signals;
    assert.equal(signal?.words, '3 corrected errors within a day');
    write(count, '1050');
    assert.equal((await after(10 * MINUTE_MS)).signals[0]?.level, 'failing');
    assert.deepEqual((await after(parse.DAY_MS + MINUTE_MS)).signals, []);
  });

  test('a link is reported once it loses its carrier or many of its packets', () => {
    const lost = link({ carrier: false });
    assert.deepEqual(levels([look(0, { links: [lost] })]), []);
    assert.deepEqual(levels([look(0, { links: [link()] }), look(1, { links: [lost] })]), [
      'link warning',
    ]);
    const errors = (packets: number) => [
      look(0, { links: [link()] }),
      look(MINUTE_MS, { links: [link({ errors: 200, packets })] }),
    ];
    assert.deepEqual(levels(errors(1000)), ['link warning']);
    assert.deepEqual(levels(errors(1e9)), []);
  });

  test('a counter that was set back counts from nothing', () => {
    const memory = (corrected: number) => [{ part: 'mc0', corrected, uncorrected: 0 }];
    const looks = [look(0, { memory: memory(500) }), look(1, { memory: memory(2) })];
    assert.equal(parse.signalsOf(looks)[0]?.words, '2 corrected errors within a day');
  });
});

describe('arbitrary input', () => {
  const json = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((each) => JSON.stringify(each)),
  );
  const shaped = fc
    .record(
      {
        smart_status: fc.oneof(fc.jsonValue(), fc.record({ passed: fc.boolean() })),
        nvme_smart_health_information_log: fc.oneof(
          fc.jsonValue(),
          fc.record({ critical_warning: fc.double(), media_errors: fc.integer() }),
        ),
        ata_smart_attributes: fc.record({
          table: fc.array(
            fc.oneof(
              fc.jsonValue(),
              fc.record({
                id: fc.constantFrom(5, 197, 198),
                raw: fc.record({ value: fc.oneof(fc.double(), fc.string()) }),
              }),
            ),
          ),
        }),
      },
      { requiredKeys: [] },
    )
    .map((each) => JSON.stringify(each));

  test('the signals fit the contract, whatever smartctl prints', () => {
    fc.assert(
      fc.property(fc.oneof(json, shaped), (text) => {
        for (const signal of parse.parseSmart('/dev/sda', text) ?? []) healthSignal.parse(signal);
      }),
    );
  });

  test('a disk without a verdict from smartctl, such as a sleeping disk, is not reported as healthy', () => {
    const asleep = JSON.stringify({ smartctl: { exit_status: 2 }, device: { name: '/dev/sda' } });
    for (const text of ['', '{', asleep])
      assert.equal(parse.parseSmart('/dev/sda', text), undefined);
    assert.deepEqual(parse.parseSmart('/dev/sda', '{"smart_status":{"passed":true}}'), []);
  });

  test("only device names come out of smartctl's list, and never an option", () => {
    const name = fc.oneof(
      fc.string(),
      fc.string().map((each) => `/dev/${each}`),
    );
    const devices = fc.array(fc.record({ name, type: fc.oneof(fc.string(), fc.constant('sat')) }));
    const list = devices.map((all) => JSON.stringify({ devices: all }));
    fc.assert(
      fc.property(fc.oneof(json, list), (text) => {
        const disks = parse.parseScan(text, 3);
        assert.ok(disks.length <= 3);
        for (const disk of disks) assert.match(disk.name, /^\/dev\/[A-Za-z0-9/_.-]+$/);
      }),
    );
  });

  test('a kernel file yields a number within bounds or nothing, whatever it holds', () => {
    const text = fc.oneof(fc.string(), fc.bigInt().map(String), fc.constant(undefined));
    fc.assert(
      fc.property(text, (each) => {
        const [count, degrees] = [parse.parseCount(each), parse.parseDegrees(each)];
        assert.ok(count === undefined || (Number.isSafeInteger(count) && count >= 0));
        assert.ok(degrees === undefined || (degrees > -100 && degrees < 300));
        assert.match(parse.nameOf(each, 'none'), /^[\x20-\x7e]{1,100}$/);
      }),
    );
  });

  test("the day's signals fit the contract, the worst first, whatever the looks were", () => {
    const count = fc.nat(1_000_000);
    const part = fc.constantFrom('one', 'two');
    const limit = fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined });
    const any = fc.record({
      atMs: fc.nat(2 * parse.DAY_MS),
      memory: fc.array(fc.record({ part, corrected: count, uncorrected: fc.nat(1) })),
      temperatures: fc.array(
        fc.record({ part, now: fc.integer({ min: -50, max: 250 }), most: limit, critical: limit }),
        { maxLength: 100 },
      ),
      links: fc.array(
        fc.record({
          part,
          carrier: fc.option(fc.boolean(), { nil: undefined }),
          errors: count,
          packets: count,
          changes: count,
        }),
      ),
      disks: fc.constant([]),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), (all) => {
        const signals = parse.signalsOf(all.toSorted((one, other) => one.atMs - other.atMs));
        assert.ok(signals.length <= MAX_SIGNALS);
        for (const signal of signals) healthSignal.parse(signal);
        const first = signals.findIndex(({ level }) => level === 'warning');
        assert.ok(first === -1 || signals.slice(first).every(({ level }) => level === 'warning'));
      }),
    );
  });
});
