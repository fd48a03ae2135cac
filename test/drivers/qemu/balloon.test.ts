import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { balloonNow, balloonOf, memoryIn } from '../../../src/drivers/qemu/balloon.ts';
import type { QmpClient } from '../../../src/drivers/qemu/qmp/client.ts';
import { fakeMonitor, Refusal } from './fake-monitor.ts';

const MIB = 1024 ** 2;
const signal = AbortSignal.timeout(20_000);
const UNKNOWN = 2 ** 64 - 1;

interface Machine {
  readonly device?: string;
  /** The driver in the guest counts once it is asked to. */
  readonly counts?: boolean;
  /** Of memory, as QEMU lists them. */
  readonly devices?: readonly object[];
}

function machine({ device = 'balloon0', counts = true, devices = [] }: Machine) {
  const said: string[] = [];
  let interval = 0;
  let looks = 0;
  const listed = (path: string) =>
    path.endsWith('anon')
      ? []
      : [
          { name: 'net0', type: 'child<virtio-net-pci>' },
          ...(device === '' ? [] : [{ name: device, type: 'child<virtio-balloon-pci>' }]),
        ];
  const query = async (command: string, { property }: { property?: string }) => {
    if (command === 'query-balloon') return { actual: 512 * MIB };
    if (command === 'query-memory-size-summary') return { 'base-memory': 512 * MIB };
    if (command === 'query-memory-devices') return devices;
    if (property !== 'guest-stats') return interval;
    if (interval > 0) looks += 1;
    const stats = { 'stat-free-memory': 100 * MIB, 'stat-available-memory': 200 * MIB };
    return { 'last-update': counts && looks > 2 ? 7 : 0, stats };
  };
  const client = {
    request: async (_command: string, { path }: { path: string }) => ({
      ok: true,
      value: listed(path),
    }),
    query: async (command: string, args: object, shape: { parse(value: unknown): unknown }) =>
      shape.parse(await query(command, args)),
    execute: async (command: string, args: { value: number; property?: string; path?: string }) => {
      if (args.property !== undefined) interval = args.value;
      said.push(`${command} ${args.path ?? ''} ${args.value}`);
    },
  };
  return { said, balloon: balloonOf(async () => client as unknown as QmpClient) };
}

describe('the balloon of a guest', () => {
  test('the balloon is asked once its driver has counted, and is left as it was found', async () => {
    const { balloon, said } = machine({});
    assert.deepEqual(await balloon.look(signal), {
      actualBytes: 512 * MIB,
      wholeBytes: 512 * MIB,
      freeBytes: 100 * MIB,
      availableBytes: 200 * MIB,
    });
    const device = '/machine/peripheral/balloon0';
    assert.deepEqual(said, [`qom-set ${device} 1`, `qom-set ${device} 0`]);
  });

  test('the balloon is empty if the guest has its memory and its DIMMs: it does not reach into other memory', async () => {
    const devices = [
      { type: 'dimm', data: { size: 128 * MIB, hotplugged: true } },
      { type: 'nvdimm', data: { size: 64 * MIB } },
      { type: 'virtio-mem', data: { size: 32 * MIB, 'max-size': 256 * MIB } },
      { type: 'sgx-epc', data: {} },
    ];
    const { wholeBytes } = await machine({ devices }).balloon.look(signal);
    assert.equal(wholeBytes, 640 * MIB);
  });

  test("concurrent looks at the balloon share one, because each would restore the other's settings", async () => {
    const { balloon, said } = machine({});
    const looks = await Promise.all([balloon.look(signal), balloon.look(signal)]);
    assert.deepEqual(looks[0], looks[1]);
    const device = '/machine/peripheral/balloon0';
    assert.deepEqual(said, [`qom-set ${device} 1`, `qom-set ${device} 0`]);
  });

  test('a missing balloon is reported by name', async () => {
    await assert.rejects(machine({ device: '' }).balloon.look(signal), {
      code: 'GODWIT_CAPABILITY',
      message: /no virtio-balloon device/,
    });
  });

  test('a balloon whose driver does not count is reported by name, and left as it was found', async () => {
    const { balloon, said } = machine({ counts: false });
    await assert.rejects(balloon.look(signal), /gives no statistics/);
    assert.match(said.at(-1) ?? '', / 0$/);
  });

  test("the balloon is read without its driver's report, and is absent without such a device", async () => {
    const monitor = (actual: unknown) =>
      fakeMonitor((command) => {
        if (command === 'query-balloon') return actual;
        return command === 'query-memory-devices' ? [] : { 'base-memory': 512 * MIB };
      });
    const { client, said } = monitor({ actual: 300 * MIB });
    const now = await balloonNow(client, signal);
    assert.deepEqual(now, { actualBytes: 300 * MIB, wholeBytes: 512 * MIB });
    assert.ok(said.every((command) => command.startsWith('query-')));
    const none = monitor(new Refusal('No balloon device has been activated', 'DeviceNotActive'));
    assert.equal(await balloonNow(none.client, signal), undefined);
  });

  test("the balloon gets the guest's target size", async () => {
    const { balloon, said } = machine({});
    await balloon.resize(300 * MIB, signal);
    assert.deepEqual(said, [`balloon  ${300 * MIB}`]);
  });

  test('a value that the driver does not know is not counted', () => {
    const of = (free: number | undefined, available: number | undefined) => () =>
      memoryIn({
        ...(free === undefined ? {} : { 'stat-free-memory': free }),
        ...(available === undefined ? {} : { 'stat-available-memory': available }),
      });
    assert.throws(of(UNKNOWN, 1), /does not say how much/);
    assert.throws(of(1, undefined), /does not say how much/);
    assert.deepEqual(of(1, 2)(), { freeBytes: 1, availableBytes: 2 });
  });
});
