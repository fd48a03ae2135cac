import { parseCommandLine, valuesOf } from '../../../../src/drivers/qemu/spec/cmdline.ts';
import { parseDevice } from '../../../../src/drivers/qemu/spec/devices.ts';
import type { GuestFacts, LiveDevice } from '../../../../src/drivers/qemu/spec/facts.ts';
import { NO_BLOCKS } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { parseOption } from '../../../../src/drivers/qemu/spec/options.ts';

/** What a guest started with this command line would say of itself, but for what `change` says otherwise. */
export function factsOf(argv: readonly string[], change: Partial<GuestFacts> = {}): GuestFacts {
  const line = parseCommandLine(argv);
  let anonymous = 0;
  const devices = valuesOf(line, 'device').map((value): LiveDevice => {
    const { driver, id, props } = parseDevice(value);
    const text = (key: string): string | undefined =>
      typeof props[key] === 'string' ? props[key] : undefined;
    const own = `/machine/peripheral/${id}`;
    return {
      path: id === undefined ? `/machine/peripheral-anon/device[${anonymous++}]` : own,
      id,
      type: driver,
      bus: text('bus'),
      addr: text('addr'),
      mac: text('mac'),
      netdev: text('netdev'),
      changed: undefined,
    };
  });
  const network = valuesOf(line, 'netdev').map((value) => {
    const { head = '', props } = parseOption(value, true);
    const ifname = props.get('ifname');
    const id = props.get('id') ?? '';
    return { id, type: head, ...(ifname === undefined ? {} : { ifname }) };
  });
  const objects = valuesOf(line, 'object').map((value) => {
    const { head = '', props } = parseOption(value, true);
    return { id: props.get('id') ?? '', type: head, bytes: undefined, shared: false };
  });
  return {
    argv,
    cwd: '/',
    version: '7.2.22',
    status: 'running',
    arch: 'x86_64',
    machineType: 'pc-q35-7.2',
    accelerator: 'tcg',
    vcpus: 1,
    memoryBytes: 512 * 1024 * 1024,
    baseMemoryBytes: 512 * 1024 * 1024,
    uuid: undefined,
    name: undefined,
    block: NO_BLOCKS,
    chardevs: [],
    migrationStatus: 'none',
    blockedReasons: [],
    devices,
    objects,
    network,
    bridges: { tap0: 'br0' },
    ramBlocks: [{ name: 'pc.ram', bytes: 512 * 1024 * 1024 }],
    cpu: { model: 'max', identity: { family: 15 }, features: ['avx', 'sse2'], words: [] },
    ...change,
  };
}

/** A command line as somebody would write it. */
export function commandLine(text: string): string[] {
  return ['/usr/bin/qemu-system-x86_64', ...text.split(/\s+/).filter((word) => word !== '')];
}
