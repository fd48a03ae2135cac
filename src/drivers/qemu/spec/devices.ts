import { valuesOf, type CommandLine } from './cmdline.ts';
import type { GuestFacts, LiveDevice } from './facts.ts';
import { whyItStays } from '../passthrough/judge.ts';
import { deviceObstacle, unmovable, type Finding } from './findings.ts';
import { judgeDevice } from './grammar/device.ts';
import { propertiesOf } from './grammar/devices.ts';
import { parseJsonOption, parseOption, textOf, type Scalar } from './options.ts';
import type { DeviceSpec } from './schema.ts';

/** Present devices: the command line's without unplugged ones, and plugged-in ones. Pure. */
export interface Devices {
  readonly devices: readonly DeviceSpec[];
  /** Boot ROM files: index in `devices` -> path at the source. */
  readonly romfiles: ReadonlyMap<number, string>;
  readonly findings: readonly Finding[];
}

interface DeviceOptions {
  readonly driver: string;
  readonly id: string | undefined;
  readonly props: Record<string, Scalar>;
}

interface MatchedDevice {
  readonly live: LiveDevice;
  readonly given: DeviceOptions;
}

/**
 * `extra`: properties from elsewhere than the device's option, by QOM path. `empty`: devices without a medium,
 * which are made without a drive.
 */
export function describeDevices(
  line: CommandLine,
  facts: GuestFacts,
  extra: ReadonlyMap<string, Readonly<Record<string, Scalar>>> = new Map(),
  empty: ReadonlySet<string> = new Set(),
): Devices {
  const given = inOrderOfMaking(valuesOf(line, 'device')).map(parseDevice);
  const found: MatchedDevice[] = [];
  const taken = new Set<string>();
  let anonymous = 0;
  let hasFreedPort = false;
  const findings: Finding[] = [];
  for (const each of given) {
    const path =
      each.id === undefined
        ? `/machine/peripheral-anon/device[${anonymous++}]`
        : `/machine/peripheral/${each.id}`;
    const live = facts.devices.find((device) => device.path === path);
    if (live === undefined) {
      hasFreedPort ||= each.driver.startsWith('usb-');
      continue;
    }
    if (hasFreedPort && hasUnknownPort(live, each)) {
      const reason = 'its port depends on a device that is unplugged: give it an `id` or a `port`';
      findings.push(unmovable(each.driver, each.driver, reason));
    }
    taken.add(path);
    found.push({ live, given: each });
  }
  for (const live of facts.devices.toSorted(byPath)) {
    if (taken.has(live.path) || isOfOption(live, line)) continue;
    found.push({ live, given: { driver: live.type, id: live.id, props: { ...live.changed } } });
  }
  const romfiles = new Map<number, string>();
  const devices = busesFirst(found).map(({ live, given: each }, index) => {
    const given = {
      ...each,
      props: { ...withoutDrive(each.props, empty.has(live.path)), ...extra.get(live.path) },
    };
    const { spec, romfile, problems } = describeDevice(live, given, facts);
    if (romfile !== undefined) romfiles.set(index, romfile);
    findings.push(...problems);
    return spec;
  });
  return { devices, romfiles, findings };
}

/** USB device whose port QEMU chose and does not report. */
function hasUnknownPort({ type, identity }: LiveDevice, { props }: DeviceOptions): boolean {
  const isOnBus = type.startsWith('usb-') && propertiesOf(type)?.has('port') === true;
  return isOnBus && props['port'] === undefined && identity?.['port'] === undefined;
}

/** QEMU creates the device of `-debugcon` itself, here and there. */
function isOfOption({ id }: LiveDevice, line: CommandLine): boolean {
  return id === 'debugcon' && valuesOf(line, 'debugcon').length > 0;
}

function byPath(one: LiveDevice, other: LiveDevice): number {
  return one.path < other.path ? -1 : 1;
}

/** Sorts each device after its bus's device, otherwise in the given order. */
function busesFirst(all: readonly MatchedDevice[]): MatchedDevice[] {
  const places = new Map(all.map((each) => [each.live.path, each]));
  const ordered = new Set<MatchedDevice>();
  const open = new Set<MatchedDevice>();
  const add = (each: MatchedDevice): void => {
    if (ordered.has(each) || open.has(each)) return;
    open.add(each);
    for (const other of needed(each, places)) add(other);
    ordered.add(each);
  };
  for (const each of all) add(each);
  return [...ordered];
}

function needed(
  { live, given }: MatchedDevice,
  places: ReadonlyMap<string, MatchedDevice>,
): MatchedDevice[] {
  const found: (MatchedDevice | undefined)[] = [];
  for (let at = live.busPath ?? ''; at.length > 1; at = at.slice(0, at.lastIndexOf('/'))) {
    found.push(places.get(at));
  }
  const { masterbus } = given.props;
  if (typeof masterbus === 'string') {
    found.push(places.get(`/machine/peripheral/${masterbus.replace(/\.\d+$/, '')}`));
  }
  return found.filter((each) => each !== undefined);
}

function withoutDrive(props: DeviceOptions['props'], isEmpty: boolean): DeviceOptions['props'] {
  const { drive, ...rest } = props;
  return isEmpty || drive === undefined ? rest : props;
}

/** QEMU creates devices in key=value form before those in JSON. */
function inOrderOfMaking(values: readonly string[]): string[] {
  const inJson = (value: string): boolean => value.startsWith('{');
  return [...values.filter((value) => !inJson(value)), ...values.filter(inJson)];
}

function describeDevice(
  live: LiveDevice,
  given: DeviceOptions,
  facts: GuestFacts,
): { spec: DeviceSpec; romfile: string | undefined; problems: Finding[] } {
  const name = live.id ?? live.type;
  const problems: Finding[] = [];
  const { reason: obstacle, ...hint } = obstacleOf(live, facts) ?? {};
  if (obstacle !== undefined) problems.push({ ...unmovable(name, live.type, obstacle), ...hint });
  const props: Record<string, Scalar> = {};
  let romfile: string | undefined;
  for (const [key, value] of Object.entries(given.props)) {
    // Identifies the host's device.
    if (live.host !== undefined && OF_ITS_HOST.has(key)) continue;
    if (key === 'romfile' && value !== '') romfile = String(value);
    else props[key] = textOf(value);
  }
  if (live.addr !== undefined && live.bus !== undefined) {
    props['bus'] = live.bus;
    props['addr'] = live.addr;
  } else if (live.changed !== undefined && live.bus !== undefined && live.bus !== 'sysbus') {
    props['bus'] = live.bus;
  }
  if (live.mac !== undefined) props['mac'] = live.mac;
  Object.assign(props, live.identity);
  if (obstacle === undefined) {
    for (const { property, allowed } of judgeDevice(live.type, props)) {
      const what = property === undefined ? 'its type' : `its \`${property}\``;
      problems.push(unmovable(name, live.type, `${what} is not ${allowed}`));
    }
  }
  const id = given.id === undefined ? {} : { id: given.id };
  const host = live.host === undefined ? {} : { passthrough: live.host.what };
  return { spec: { driver: live.type, ...id, props, ...host }, romfile, problems };
}

const OF_ITS_HOST = new Set(['host', 'sysfsdev']);

function obstacleOf(
  { type, id, host, enableMigration }: LiveDevice,
  { version, blockedReasons }: GuestFacts,
): { readonly reason: string; readonly hint?: string } | undefined {
  if (type === 'vfio-pci')
    return whyItStays({ id, host, enableMigration, version, blockedReasons });
  const reason = deviceObstacle(type);
  return reason === undefined ? undefined : { reason };
}

export function parseDevice(value: string): DeviceOptions {
  if (value.startsWith('{')) return fromJson(value);
  const { head, props } = parseOption(value, true);
  const { driver = head ?? '', id, ...rest } = Object.fromEntries(props) as Record<string, string>;
  return { driver, id, props: rest };
}

function fromJson(value: string): DeviceOptions {
  const { driver, id, ...rest } = parseJsonOption(value) ?? {};
  const props: Record<string, Scalar> = {};
  for (const [key, held] of Object.entries(rest)) {
    if (typeof held === 'string' || typeof held === 'number' || typeof held === 'boolean') {
      props[key] = held;
    }
  }
  return {
    driver: typeof driver === 'string' ? driver : '',
    id: typeof id === 'string' ? id : undefined,
    props,
  };
}
