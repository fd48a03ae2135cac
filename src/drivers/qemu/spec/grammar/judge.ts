import { isOwnFile } from '../names.ts';
import type { Scalar } from '../options.ts';
import { guestShape, type GuestSpec } from '../schema.ts';
import { judgeDevice, judgeFeature } from './device.ts';
import { isFreeId, misfit, type Kind, type DeclaredIds } from './kinds.ts';
import { ACCELERATOR_PROPERTIES, MACHINE_PROPERTIES, objectProperties } from './machine.ts';
import { idOfOption, readOption } from './options.ts';
import { MAX_FLASH_BYTES, flashName } from '../flash.ts';

export interface GrammarViolation {
  readonly path: readonly (string | number)[];
  readonly what: string;
  readonly allowed: string;
}

/** Text with a length limit, since both parts may come from the peer. Pure. */
export function refusedText({ what, allowed }: GrammarViolation): string {
  return `${what.slice(0, 200)}: allowed is ${allowed.slice(0, 500)}`;
}

const MAX_ISSUES = 16;

export const guestSpec = guestShape.superRefine((spec, context) => {
  for (const refused of judgeDescription(spec).slice(0, MAX_ISSUES)) {
    context.addIssue({ code: 'custom', path: [...refused.path], message: refusedText(refused) });
  }
});

/**
 * Parts of a description that the grammar does not allow. An allowed description yields a command line of
 * Godwit's own words with typed values: no file, path, host address or id of a Godwit object in that process.
 * Pure.
 */
export function judgeDescription(spec: GuestSpec): GrammarViolation[] {
  const known = knownOf(spec);
  return [
    ...judgeOptions(spec, known),
    ...judgeProps('machine', ['machine', 'props'], spec.machine.props, MACHINE_PROPERTIES, known),
    ...judgeProps(
      spec.accelerator.name,
      ['accelerator', 'props'],
      spec.accelerator.props,
      ACCELERATOR_PROPERTIES,
      known,
    ),
    ...judgeCpu(spec),
    ...judgeObjects(spec, known),
    ...spec.devices.flatMap(({ driver, id, props }, index) =>
      judgeDevice(driver, props, known).map(({ property, allowed }) => ({
        path: ['devices', index, ...(property === undefined ? ['driver'] : ['props', property])],
        what: [id ?? driver, property].filter((part) => part !== undefined).join('.'),
        allowed,
      })),
    ),
    ...judgeMacs(spec),
    ...judgeIds(spec),
    ...judgeFilters(spec),
    ...judgeFiles(spec),
    ...judgeFlash(spec),
    ...judgeTpm(spec),
    ...judgePassthrough(spec),
    ...judgePorts(spec, known),
  ];
}

function knownOf(spec: GuestSpec): DeclaredIds {
  const objects = (type: RegExp): Set<string> =>
    new Set(spec.objects.filter((each) => type.test(each.type)).map(({ id }) => id));
  const ofOptions = (name: string): string[] =>
    spec.options
      .filter((each) => each.name === name)
      .flatMap(({ value }) => idOfOption(value ?? '') ?? []);
  const chips = new Set((spec.flash ?? []).map(({ node }) => node));
  return {
    netdev: new Set(spec.netdevs.map(({ id }) => id)),
    chardev: new Set(spec.chardevs.map(({ id }) => id)),
    drive: new Set([...nodesOf(spec).filter((node) => !chips.has(node)), ...ofOptions('drive')]),
    memdev: objects(/^memory-backend-/),
    iothread: objects(/^iothread$/),
    rng: objects(/^rng-/),
    audiodev: new Set(ofOptions('audiodev')),
    device: new Set(spec.devices.flatMap(({ id }) => id ?? [])),
    tpmdev: new Set(spec.tpm === undefined ? [] : [spec.tpm.id]),
  };
}

function judgeOptions(spec: GuestSpec, known: DeclaredIds): GrammarViolation[] {
  return spec.options.flatMap(({ name, value }, index) => {
    const read = readOption(name, value, known);
    if (read.ok) return [];
    const what = `-${name}${read.at === '' ? '' : ` ${read.at}`}`;
    return [{ path: ['options', index], what, allowed: read.allowed }];
  });
}

function judgeCpu({ cpu }: GuestSpec): GrammarViolation[] {
  if (cpu === undefined) return [];
  return (['identity', 'switches'] as const).flatMap((part) =>
    Object.entries(cpu[part]).flatMap(([name, value]) => {
      const allowed = judgeFeature(name, value);
      return allowed === undefined
        ? []
        : [{ path: ['cpu', part, name], what: `-cpu ${name}`, allowed }];
    }),
  );
}

function judgeObjects(spec: GuestSpec, known: DeclaredIds): GrammarViolation[] {
  return spec.objects.flatMap(({ type, id, props }, index) =>
    judgeProps(id, ['objects', index, 'props'], props, objectProperties(type) ?? new Map(), known),
  );
}

function judgeProps(
  what: string,
  path: readonly (string | number)[],
  props: Readonly<Record<string, Scalar>>,
  kinds: ReadonlyMap<string, Kind>,
  known: DeclaredIds,
): GrammarViolation[] {
  return Object.entries(props).flatMap(([name, value]) => {
    const of = kinds.get(name);
    const allowed =
      of === undefined ? `one of ${[...kinds.keys()].join(', ')}` : misfit(of, value, known);
    return allowed === undefined
      ? []
      : [{ path: [...path, name], what: `${what}.${name}`, allowed }];
  });
}

/** A NIC is admitted and its port created by MAC: its device must have the same MAC. */
function judgeMacs(spec: GuestSpec): GrammarViolation[] {
  return spec.netdevs.flatMap((netdev, index) => {
    if (netdev.type !== 'tap') return [];
    const macs = spec.devices
      .filter(({ props }) => props['netdev'] === netdev.id)
      .map(({ props }) => String(props['mac'] ?? netdev.mac).toLowerCase());
    if (macs.length <= 1 && macs.every((mac) => mac === netdev.mac.toLowerCase())) return [];
    const allowed = 'the MAC of the one device that uses it';
    return [{ path: ['netdevs', index, 'mac'], what: `${netdev.id} ${netdev.mac}`, allowed }];
  });
}

/** Each id must be valid for QEMU, not used by Godwit, and unique in its kind. */
function judgeIds(spec: GuestSpec): GrammarViolation[] {
  const lists = ['objects', 'chardevs', 'netdevs', 'devices'] as const;
  const found = lists.flatMap((list) =>
    idsOf(
      list,
      spec[list].map(({ id }) => id),
    ),
  );
  return [...found, ...idsOf('blockNodes', nodesOf(spec))];
}

function nodesOf({ blockNodes = [] }: GuestSpec): string[] {
  return blockNodes.flatMap(({ node, filters = [] }) => [
    node,
    ...filters.map((each) => each.node),
  ]);
}

/** A limit must be an object of the same description. */
function judgeFilters({ blockNodes = [], objects }: GuestSpec): GrammarViolation[] {
  const groups = new Set(
    objects.filter(({ type }) => type === 'throttle-group').map(({ id }) => id),
  );
  return blockNodes.flatMap(({ node, filters = [] }, index) =>
    filters.flatMap((filter, at): GrammarViolation[] => {
      if (filter.kind !== 'throttle' || groups.has(filter.group)) return [];
      const allowed = 'the id of a throttle-group of this description';
      const path = ['blockNodes', index, 'filters', at, 'group'];
      return [{ path, what: `${node} ${filter.group}`, allowed }];
    }),
  );
}

function idsOf(list: string, ids: readonly (string | undefined)[]): GrammarViolation[] {
  const seen = new Set<string>();
  return ids.flatMap((id, index) => {
    if (id === undefined) return [];
    const allowed = 'an id that QEMU takes, said once, and none of Godwit’s own';
    const free = isFreeId(id) && !seen.has(id);
    seen.add(id);
    return free ? [] : [{ path: [list, index], what: id, allowed }];
  });
}

/** The guest's sockets and logs are in the same directory as Godwit's, so names must not collide. */
function judgeFiles(spec: GuestSpec): GrammarViolation[] {
  const named: [string, (string | number)[]][] = [];
  for (const list of ['chardevs', 'ports'] as const) {
    for (const [index, { backend }] of spec[list].entries()) {
      if ('name' in backend) named.push([backend.name, [list, index, 'backend', 'name']]);
      if (backend.kind === 'socket' && backend.log !== undefined) {
        named.push([backend.log, [list, index, 'backend', 'log']]);
      }
    }
  }
  for (const [index, { name }] of spec.monitors.entries()) {
    named.push([name, ['monitors', index, 'name']]);
  }
  const seen = new Set<string>();
  return named.flatMap(([name, path]) => {
    const free = !isOwnFile(name) && !seen.has(name);
    seen.add(name);
    const allowed = 'a name that nothing else in the guest’s directory has';
    return free ? [] : [{ path, what: name, allowed }];
  });
}

function judgePorts(spec: GuestSpec, known: DeclaredIds): GrammarViolation[] {
  return spec.ports.flatMap(({ option, backend }, index) => {
    if (backend.kind !== 'chardev' || known.chardev.has(backend.id)) return [];
    const allowed = 'the id of a character device of this description';
    return [{ path: ['ports', index, 'backend', 'id'], what: `-${option} ${backend.id}`, allowed }];
  });
}

/**
 * Firmware chips: each unit once, on a separate image of the same description. A chip identified by content has
 * a single small image: the destination reads all files of its size. Pure.
 */
export function judgeFlash({ flash = [], blockNodes = [] }: GuestSpec): GrammarViolation[] {
  const units = new Set<number>();
  const nodes = new Set<string>();
  return flash.flatMap(({ unit, node, image }, index): GrammarViolation[] => {
    const like = blockNodes.find((each) => each.node === node);
    const isBelow = blockNodes.some(({ backing }) => backing === node);
    const refuse = (allowed: string): GrammarViolation[] => [
      { path: ['flash', index], what: `${flashName(unit)} on ${node}`, allowed },
    ];
    if (units.has(unit) || nodes.has(node)) return refuse('each chip once, on a node of its own');
    units.add(unit);
    nodes.add(node);
    if (like === undefined || like.filters !== undefined || isBelow)
      return refuse('the uppermost node of an image');
    if (image === undefined) return [];
    if (like.backing !== undefined) return refuse('an image without a backing file');
    if (image.bytes > MAX_FLASH_BYTES) return refuse(`at most ${MAX_FLASH_BYTES} bytes`);
    return [];
  });
}

/** A machine has one TPM: one device and unique ids. Pure. */
function judgeTpm({ tpm, devices, chardevs, ports }: GuestSpec): GrammarViolation[] {
  const found = devices.flatMap(({ driver, props }, index) =>
    driver.startsWith('tpm-') ? [{ index, driver, tpmdev: props['tpmdev'] }] : [],
  );
  const refused = found.flatMap(({ index, driver, tpmdev }, at): GrammarViolation[] =>
    tpmdev !== undefined && at === 0
      ? []
      : [{ path: ['devices', index], what: driver, allowed: 'one TPM, with its `tpmdev`' }],
  );
  if (tpm === undefined) return refused;
  const taken =
    chardevs.some(({ id }) => id === tpm.chardev) ||
    ports.some(({ backend }) => backend.kind === 'chardev' && backend.id === tpm.chardev);
  if (taken || !isFreeId(tpm.chardev) || !isFreeId(tpm.id)) {
    const allowed = 'ids that QEMU takes, said once, and none of Godwit’s own';
    refused.push({ path: ['tpm'], what: `${tpm.id} on ${tpm.chardev}`, allowed });
  }
  return refused;
}

/** A passed-through device, and no other, must describe its replacement; the destination chooses the device. Pure. */
export function judgePassthrough({ devices }: GuestSpec): GrammarViolation[] {
  return devices.flatMap(({ driver, id, passthrough }, index): GrammarViolation[] => {
    const isPassedThrough = driver === 'vfio-pci';
    if (isPassedThrough === (passthrough !== undefined)) return [];
    const allowed = isPassedThrough
      ? 'one that says what the device of the host is'
      : 'a device of the host in a vfio-pci alone';
    return [{ path: ['devices', index, 'passthrough'], what: id ?? driver, allowed }];
  });
}
