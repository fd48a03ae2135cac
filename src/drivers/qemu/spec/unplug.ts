import { defined } from '../../../protocol/defined.ts';
import type { UnpluggedDevice } from '../../../protocol/unplug.ts';
import { parseCommandLine, valuesOf } from './cmdline.ts';
import { parseDevice } from './devices.ts';
import type { GuestFacts, LiveDevice } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { switchValue, type Scalar } from './options.ts';

/**
 * Guest without the devices that are unplugged for its move, and the arguments to plug each in again. The
 * decision depends on a device's connections, never on its type. Pure.
 */

export interface PlugFacts {
  /** Neither the device nor its bus forbids it. */
  readonly canUnplug: boolean;
  readonly types: ReadonlyMap<string, string>;
}

export interface Unplugging {
  readonly facts: GuestFacts;
  readonly unplugged: readonly UnpluggedDevice[];
  readonly findings: readonly Finding[];
}

/** Properties that connect a backend, which would stay without its device. */
const BACKENDS = ['drive', 'netdev', 'chardev', 'memdev', 'tpmdev'] as const;

/** `known`: facts of the guest's devices, by id. */
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
  // QEMU's blockers may be about these devices; they are read again after the unplug.
  if (unplugged.length > 0) rest = { ...rest, blockedReasons: [] };
  return { facts: rest, unplugged, findings };
}

export function liveOf({ devices }: GuestFacts, id: string): LiveDevice | undefined {
  return devices.find((each) => each.path === `/machine/peripheral/${id}`);
}

const FATE = 'is unplugged for the move, and the guest runs without it there';

/** Properties from the option or the plug. */
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

/** QEMU's name for device memory, `0000:00:02.0:00.0`; undefined for a device that is not on PCI. */
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

/** QEMU accepts only values of the property's type, but a command line contains text. */
function typed(value: Scalar, type: string | undefined): Scalar {
  if (typeof value !== 'string' || type === undefined) return value;
  if (type === 'bool') return switchValue(value) ?? value;
  const isNumber = /^u?int\d*$/.test(type) && /^(\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value);
  return isNumber ? Number(value) : value;
}
