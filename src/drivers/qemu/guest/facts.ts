import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { defined } from '../../../protocol/defined.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseCommandLine, valuesOf } from '../spec/cmdline.ts';
import { parseDevice } from '../spec/devices.ts';
import { cpuOption } from '../spec/machine.ts';
import {
  parseNetwork,
  parseRamBlocks,
  type BackendLine,
  type RamBlock,
  parseUsbPorts,
} from '../spec/monitor-text.ts';
import type { Scalar } from '../spec/options.ts';
import type { GuestFacts, LiveDevice } from '../spec/facts.ts';
import { propertiesOf } from '../spec/grammar/devices.ts';
import { nicName } from '../spec/nic-names.ts';
import type { ForwardSpec } from '../spec/schema.ts';
import { parseForwards } from '../spec/user-network.ts';
import { readAttachments, withTapNames } from './attachments.ts';
import { readBlocks } from './blocks.ts';
import { readConfigFiles } from './config-files.ts';
import { readCpu } from './cpu.ts';
import { readHostMemory } from './host-memory.ts';
import { KeptProcessors } from './kept-processors.ts';
import { readPins } from './pins.ts';
import type { QemuProcess } from './process.ts';
import { monitorCommand } from './monitor-command.ts';
import { withHostDevices } from '../passthrough/read-passthrough.ts';
import { readTsc } from '../programs/tsc.ts';
import { getScalar } from './qom.ts';
import { readObject } from './object.ts';
import { readTpm } from './tpm.ts';

/**
 * Reads a running guest in a few rounds of pipelined queries. Changes nothing. `kept`: processors from earlier
 * looks.
 */
export async function readFacts(
  client: QmpClient,
  process: QemuProcess,
  signal: AbortSignal,
  kept = new KeptProcessors(),
): Promise<GuestFacts> {
  const [basics, block, devices, anonymous, objects, network, forwards, nics, ramBlocks, ports] =
    await Promise.all([
      readBasics(client, signal),
      readBlocks(client, signal),
      listChildren(client, '/machine/peripheral', signal),
      listChildren(client, '/machine/peripheral-anon', signal),
      listChildren(client, '/objects', signal),
      readNetwork(client, signal).then((lines) => withTapNames(lines, process.pid)),
      readForwards(client, signal),
      listNics(client, process.argv, signal),
      monitorCommand(client, 'info ramblock', signal),
      readUsbPorts(client, signal),
    ]);
  const line = parseCommandLine(process.argv);
  const given = new Set(valuesOf(line, 'device').flatMap((value) => parseDevice(value).id ?? []));
  const [live, liveObjects, memory, cpu, tscHz, attached, tpm] = await Promise.all([
    Promise.all(
      [...devices, ...anonymous, ...nics].map(async (child) =>
        withPort(await readDevice(client, child, given, signal), ports),
      ),
    ),
    Promise.all(objects.map((child) => readObject(client, child, signal))),
    readHostMemory(client, objects, ramBlocks, process.cwd, signal),
    kept.of(process, [basics.cpuPath, basics.cpuType], () =>
      readCpu(client, basics.cpuPath, basics.cpuType, cpuOption(line), signal),
    ),
    readTsc(client, basics.cpuPath, signal),
    readAttachments(network),
    readTpm(line, process.cwd),
  ]);
  const configFiles = readConfigFiles(line, process.cwd);
  const [nativeAio, pins] = await Promise.all([hasNativeAio(process.pid), readPins(process.pid)]);
  const { cpuPath: _path, cpuType: _type, ...rest } = basics;
  return {
    ...rest,
    block: { ...block, nativeAio },
    argv: process.argv,
    cwd: process.cwd,
    devices: await withHostDevices(client, live, signal),
    objects: liveObjects.map((each) => {
      const kept = memory.get(each.id);
      return kept === undefined ? each : { ...each, memory: kept };
    }),
    network,
    forwards,
    ...attached,
    ...tpm,
    ...(configFiles.length === 0 ? {} : { configFiles }),
    ramBlocks: parseRamBlocks(ramBlocks),
    cpu,
    ...defined({ tscHz }),
    pins,
  };
}

/** The ring of a kernel AIO context shows in the process's maps. False if they cannot be read. */
async function hasNativeAio(pid: number): Promise<boolean> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  return /\/\[aio\]/.test(maps);
}

async function readBasics(client: QmpClient, signal: AbortSignal) {
  const ask = <T>(command: string, schema: z.ZodType<T>, args: object = {}): Promise<T> =>
    client.query(command, args, schema, signal);
  const [status, cpus, slots, memory, kvm, uuid, name, chardevs, migration, type] =
    await Promise.all([
      ask('query-status', answers.runStatus),
      ask('query-cpus-fast', answers.cpus),
      ask('query-hotpluggable-cpus', answers.hotpluggableCpus).catch(() => []),
      ask('query-memory-size-summary', answers.memorySize),
      ask('query-kvm', answers.kvm),
      ask('query-uuid', answers.uuid),
      ask('query-name', answers.name),
      ask('query-chardev', answers.chardevs),
      ask('query-migrate', answers.migrationState),
      ask('qom-get', z.string().max(256), { path: '/machine', property: 'type' }),
    ]);
  const first = cpus[0];
  const cpuPath = first?.['qom-path'] ?? '/machine/unattached/device[0]';
  return {
    version: client.version,
    status: status.status,
    arch: first?.target ?? 'x86_64',
    machineType: type.replace(/-machine$/, ''),
    accelerator: kvm.enabled ? ('kvm' as const) : ('tcg' as const),
    vcpus: cpus.length,
    memoryBytes: memory['base-memory'] + memory['plugged-memory'],
    baseMemoryBytes: memory['base-memory'],
    uuid: /^[0-]+$/.test(uuid.UUID) ? undefined : uuid.UUID,
    name: name.name,
    chardevs: chardevs.map((chardev) => ({ id: chardev.label, filename: chardev.filename })),
    migrationStatus: migration.status ?? 'none',
    blockedReasons: migration['blocked-reasons'] ?? [],
    cpuPath,
    cpuType: slots.find((slot) => slot['qom-path'] === cpuPath)?.type ?? slots[0]?.type ?? '',
  };
}

interface Child {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

async function listChildren(
  client: QmpClient,
  parent: string,
  signal: AbortSignal,
): Promise<Child[]> {
  const list = await client.query('qom-list', { path: parent }, answers.qomList, signal);
  return list.flatMap(({ name, type }) => {
    const child = /^child<(.+)>$/.exec(type)?.[1];
    return child === undefined ? [] : [{ path: `${parent}/${name}`, name, type: child }];
  });
}

async function readDevice(
  client: QmpClient,
  child: Child,
  given: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<LiveDevice> {
  const get = (property: string): Promise<Scalar | undefined> =>
    getScalar(client, child.path, property, signal);
  const [bus, addr, mac, netdev, hotplugged] = await Promise.all(
    ['parent_bus', 'addr', 'mac', 'netdev', 'hotplugged'].map(get),
  );
  const identity = await readIdentity(client, child, signal);
  const anonymous = child.path.startsWith('/machine/peripheral-anon/');
  const isGiven = hotplugged !== true && (anonymous || given.has(child.name));
  const changed = isGiven ? undefined : await readChangedProperties(client, child, signal);
  const named = changed?.['netdev'];
  const busPath = typeof bus === 'string' && bus !== '' ? bus : undefined;
  return {
    path: child.path,
    id: child.path.startsWith('/machine/peripheral/') ? child.name : undefined,
    type: child.type,
    bus: busPath === undefined ? undefined : path.posix.basename(busPath),
    ...defined({ busPath }),
    addr: pciAddress(addr),
    mac: typeof mac === 'string' ? mac : undefined,
    netdev: typeof netdev === 'string' ? nicName(netdev) : undefined,
    ...defined({ identity }),
    changed: typeof named === 'string' ? { ...changed, netdev: nicName(named) } : changed,
  };
}

/**
 * Names and ids that QEMU generates. A SCSI disk without a serial is named after its drive, which the guest sees
 * in /dev/disk/by-id; the destination has no drives. A new generation id tells the guest that it was cloned.
 */
const MADE_UP: readonly (readonly [type: RegExp, property: string])[] = [
  [/^scsi-(hd|cd)$/, 'device_id'],
  [/^vmgenid$/, 'guid'],
];

async function readIdentity(
  client: QmpClient,
  { path: place, type }: Child,
  signal: AbortSignal,
): Promise<Record<string, Scalar> | undefined> {
  const property = MADE_UP.find(([pattern]) => pattern.test(type))?.[1];
  if (property === undefined) return undefined;
  const value = await getScalar(client, place, property, signal);
  return value === undefined || value === '' ? undefined : { [property]: value };
}

/** `devfn` in QEMU's notation `slot.function`: 03.0. */
function pciAddress(addr: Scalar | undefined): string | undefined {
  if (typeof addr === 'string') return addr;
  if (typeof addr !== 'number' || addr < 0 || addr > 255) return undefined;
  return `${(addr >> 3).toString(16).padStart(2, '0')}.${addr & 7}`;
}

/** Device properties that differ from the type's defaults and are not on the command line. */
async function readChangedProperties(
  client: QmpClient,
  child: Child,
  signal: AbortSignal,
): Promise<Record<string, Scalar>> {
  const known = await client.query(
    'device-list-properties',
    { typename: child.type },
    answers.deviceProperties,
    signal,
  );
  const wanted = known.filter(
    ({ name, type }) => !type.startsWith('child<') && !/^(hotplugged|addr)$/.test(name),
  );
  const values = await Promise.all(
    wanted.map(({ name }) => getScalar(client, child.path, name, signal)),
  );
  const changed: Record<string, Scalar> = {};
  for (const [index, property] of wanted.entries()) {
    const held = values[index];
    const value = property.type.startsWith('link<') ? objectOf(held) : held;
    if (isWithoutRom(child, property.name, value)) changed['romfile'] = '';
    if (value === undefined || value === '' || value === property['default-value']) continue;
    // Without a declared default, only properties that name another object (a backend, a slot) are kept.
    if (property['default-value'] === undefined && !NAMING.has(property.name)) continue;
    changed[property.name] = value;
  }
  return changed;
}

/** Cards have a boot ROM unless its name is empty. Other empty names are defaults. */
function isWithoutRom({ type }: Child, property: string, value: Scalar | undefined): boolean {
  return property === 'romfile' && value === '' && propertiesOf(type)?.has('netdev') === true;
}

/**
 * Id of a user-created object that a device refers to. Objects that the device creates, and its parents, are
 * found again without it.
 */
function objectOf(link: Scalar | undefined): string | undefined {
  return /^\/objects\/([^/]+)$/.exec(String(link))?.[1];
}

const NAMING = new Set(
  (
    'netdev mac masterbus chardev memdev drive rng iothread bus port slot chassis node socket-id die-id core-id ' +
    'thread-id serial name audiodev'
  ).split(' '),
);

export async function readNetwork(client: QmpClient, signal: AbortSignal): Promise<BackendLine[]> {
  const lines = parseNetwork(await monitorCommand(client, 'info network', signal));
  return lines.map((each) => ({ ...each, id: nicName(each.id) }));
}

async function readForwards(
  client: QmpClient,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ForwardSpec[]>> {
  const text = await monitorCommand(client, 'info usernet', signal).catch(() => '');
  return new Map([...parseForwards(text)].map(([id, all]) => [nicName(id), all]));
}

/** NICs of `-nic`: they are parts of the machine, not devices of the command line. */
async function listNics(
  client: QmpClient,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<Child[]> {
  const given = valuesOf(parseCommandLine(argv), 'nic');
  if (!given.some((value) => !/^none(,|$)/.test(value))) return [];
  const all = await listChildren(client, '/machine/unattached', signal);
  const nics = all.filter(({ type }) => propertiesOf(type)?.has('netdev') === true);
  return nics.filter(({ type }) => !/^virtio-net-device$/.test(type));
}

export async function readRamBlocks(client: QmpClient, signal: AbortSignal): Promise<RamBlock[]> {
  return parseRamBlocks(await monitorCommand(client, 'info ramblock', signal));
}

async function readUsbPorts(client: QmpClient, signal: AbortSignal) {
  return parseUsbPorts(await monitorCommand(client, 'info usb', signal).catch(() => ''));
}

/** A device without a port got the first free one. */
function withPort(device: LiveDevice, ports: ReadonlyMap<string, string>): LiveDevice {
  const port = ports.get(device.id ?? '');
  return port === undefined ? device : { ...device, identity: { ...device.identity, port } };
}
