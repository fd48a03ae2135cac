import { defined } from '../../../protocol/defined.ts';
import type { UnpluggedDevice } from '../../../protocol/unplug.ts';
import { parseCommandLine, valuesOf } from './cmdline.ts';
import { parseDevice } from './devices.ts';
import type { GuestFacts, LiveDevice } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { switchValue, type Scalar } from './options.ts';

/**
 * A guest without the devices that are unplugged for its move, and how each of those is plugged in again. It goes by what a
 * device is attached to and never by its type: what can be unplugged alone is unplugged alike. Pure.
 */

/** What QEMU says of a device that is to be unplugged. */
export interface PlugFacts {
  /** Neither it nor its bus stands against it. */
  readonly canUnplug: boolean;
  /** QEMU's types of its properties, by name. */
  readonly types: ReadonlyMap<string, string>;
}

export interface Unplugging {
  /** Of the guest as it will be then. */
  readonly facts: GuestFacts;
  readonly unplugged: readonly UnpluggedDevice[];
  readonly findings: readonly Finding[];
}

/** What would be left behind without its device. */
const BACKENDS = ['drive', 'netdev', 'chardev', 'memdev', 'tpmdev'] as const;

/** `known`: by id, of those that the guest has. */
export function withoutDevices(
  facts: GuestFacts,
  ids: readonly string[],
  known: ReadonlyMap<string, PlugFacts>,
): Unplugging {
  const unplugged: UnpluggedDevice[] = [];
  const findings: Finding[] = [];
  let rest = facts;
  for (const device of ids) {
    const live = liveOf(facts, device);
    const about = known.get(device);
    if (live === undefined || about === undefined) {
      findings.push(unmovable(device, 'unplug', 'the guest has no device with that id'));
      continue;
    }
    const props = propsOf(facts, live);
    const why = obstacleTo(facts, live, props, about);
    if (why !== undefined) {
      findings.push(unmovable(device, 'unplug', why));
      continue;
    }
    rest = without(rest, live, props);
    unplugged.push({ device, again: againOf(live, props, about.types) });
    findings.push(changed(device, live.type, FATE));
  }
  // What QEMU says against the move may be of these; it is asked again once they are unplugged.
  if (unplugged.length > 0) rest = { ...rest, blockedReasons: [] };
  return { facts: rest, unplugged, findings };
}

export function liveOf({ devices }: GuestFacts, id: string): LiveDevice | undefined {
  return devices.find((each) => each.path === `/machine/peripheral/${id}`);
}

const FATE = 'is unplugged for the move, and the guest runs without it there';

/** As it was given, or as it was plugged in. */
function propsOf(facts: GuestFacts, live: LiveDevice): Readonly<Record<string, Scalar>> {
  if (live.changed !== undefined) return live.changed;
  const given = valuesOf(parseCommandLine(facts.argv), 'device').map(parseDevice);
  return given.find(({ id }) => id === live.id)?.props ?? {};
}

function obstacleTo(
  { devices }: GuestFacts,
  live: LiveDevice,
  props: Readonly<Record<string, Scalar>>,
  { canUnplug }: PlugFacts,
): string | undefined {
  const backend = BACKENDS.find((name) => props[name] !== undefined && props[name] !== '');
  if (backend !== undefined)
    return `it has a \`${backend}\` (${props[backend]}), which would stay without it`;
  const above = devices.find(({ busPath = '' }) => busPath.startsWith(`${live.path}/`));
  if (above !== undefined) return `${above.id ?? above.type} is on its bus`;
  if (canUnplug) return undefined;
  return `QEMU lets nothing be unplugged from its bus (${live.bus ?? 'none'}) while the guest runs`;
}

function without(
  facts: GuestFacts,
  live: LiveDevice,
  { iommufd }: Readonly<Record<string, Scalar>>,
): GuestFacts {
  const devices = facts.devices.filter((each) => each !== live);
  const place = pciPlace(facts, live);
  const ramBlocks = facts.ramBlocks.filter(
    ({ name }) => place === undefined || !name.startsWith(`${place}/`),
  );
  const isUsed = devices.some((each) => propsOf(facts, each)['iommufd'] === iommufd);
  const objects = facts.objects.filter(({ id }) => isUsed || id !== iommufd);
  return { ...facts, devices, ramBlocks, objects };
}

/** `0000:00:02.0:00.0`, as QEMU names memory of the device; undefined for one that is not on PCI. */
function pciPlace({ devices }: GuestFacts, live: LiveDevice): string | undefined {
  if (live.addr === undefined) return undefined;
  const above = devices
    .filter(({ path }) => live.busPath?.startsWith(`${path}/`) === true)
    .toSorted((one, other) => one.path.length - other.path.length);
  const addresses = [...above, live].map(({ addr }) => addr);
  return addresses.includes(undefined) ? undefined : ['0000:00', ...addresses].join(':');
}

function againOf(
  live: LiveDevice,
  props: Readonly<Record<string, Scalar>>,
  types: ReadonlyMap<string, string>,
): Record<string, Scalar> {
  const own = Object.entries(props).map(([name, value]) => [name, typed(value, types.get(name))]);
  const isOnBus = live.bus !== undefined && live.bus !== 'sysbus';
  return {
    ...(Object.fromEntries(own) as Record<string, Scalar>),
    ...live.identity,
    driver: live.type,
    ...defined({ id: live.id }),
    ...(isOnBus ? { bus: live.bus } : {}),
    ...defined({ addr: live.addr }),
  };
}

/** QEMU takes only values of a property's own type; a command line says all of them as text. */
function typed(value: Scalar, type: string | undefined): Scalar {
  if (typeof value !== 'string' || type === undefined) return value;
  if (type === 'bool') return switchValue(value) ?? value;
  const isNumber = /^u?int\d*$/.test(type) && /^(\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value);
  return isNumber ? Number(value) : value;
}
