import { z } from 'zod';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { readBlocks } from '../guest/blocks.ts';
import { readNetwork } from '../guest/facts.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { NON_FEATURES } from '../spec/cpu.ts';
import type { BackendLine } from '../spec/monitor-text.ts';
import { parseDeviceTree } from './device-tree.ts';
import { diskParts } from './disk-parts.ts';
import {
  AS_OBJECT,
  MAX_PARTS,
  PART_KINDS,
  propertiesOf,
  type MachineParts,
  type Part,
  type PartKind,
} from './machine-parts.ts';
import { virtioDeviceOf, type VirtioDevice } from './virtio-features.ts';

/**
 * Reads QEMU's report of its machine; changes nothing. Besides the device tree, reads a few hundred properties
 * one by one: of the machine, memory backends, processor and device objects.
 */

/** Simultaneous commands: QEMU executes them one by one, and other clients' commands get their turn between. */
const AT_ONCE = 32;
/** A read takes 0.05 to 0.7 s, more with fewer host processors. */
const WHOLE_MS = 10_000;
const MAX_OBJECTS = 4096;

const slots = z
  .array(
    z.object({
      type: z.string().max(256),
      'vcpus-count': z.number(),
      props: z.record(z.string(), z.unknown()).default({}),
      'qom-path': z.string().max(1024).optional(),
    }),
  )
  .max(8192);

const NO_SETTING =
  /^(type|realized|hotplugged|hotpluggable|parent_bus|hotplug-handler|legacy-.*|child\[\d+\])$/;
const NO_VALUE = /^(child<|link<(irq|memory-region|qemu:memory-region|bus)>)/;

const VIRTIO = /^v(irtio|host)-/;

interface QomObject {
  readonly place: string;
  readonly path: string;
  readonly type: string;
}

/**
 * Throws GODWIT_DEADLINE if it takes too long, and GODWIT_TOO_LARGE if the machine has more parts than can be
 * compared.
 */
export async function readMachine(client: QmpClient, signal: AbortSignal): Promise<MachineParts> {
  return withDeadline('reading what the machine is', WHOLE_MS, signal, (inner) =>
    readParts(client, inner),
  );
}

async function readParts(client: QmpClient, signal: AbortSignal): Promise<MachineParts> {
  const reader = new Reader(client, signal);
  const [tree, block, network, chardevs, machine, processor, objects] = await Promise.all([
    reader.deviceTree(),
    readBlocks(client, signal),
    readNetwork(client, signal),
    client.query('query-chardev', {}, answers.chardevs, signal),
    reader.object({ place: 'machine', path: '/machine', type: '' }, 'machine'),
    reader.processors(),
    reader.objects(),
  ]);
  const { more, virtio } = await reader.moreOfDevices(tree);
  const parts = [
    ...machine,
    ...processor,
    ...tree,
    ...more,
    ...objects,
    ...diskParts(block, tree),
    ...networkParts(network),
    ...chardevs.map(({ label, filename }): Part => {
      const type = /^(?:disconnected:)?([a-z-]+)/.exec(filename)?.[1] ?? '';
      return { kind: 'chardev', place: label, type, props: {} };
    }),
  ];
  if (parts.length > MAX_PARTS) {
    throw godwitError('GODWIT_TOO_LARGE', {
      what: 'the description of a machine',
      limit: `${MAX_PARTS} parts`,
    });
  }
  return { version: client.version, kinds: [...PART_KINDS], parts, virtio };
}

function networkParts(lines: readonly BackendLine[]): Part[] {
  const parts = new Map<string, Part>();
  for (const { id, type, hubid } of lines) {
    const queues = Number(parts.get(id)?.props['queues'] ?? 0) + 1;
    const hub: Record<string, string> = hubid === undefined ? {} : { hubid: String(hubid) };
    const props = { queues: String(queues), ...hub };
    // A NIC is also a device, and may have no name.
    if (type !== 'nic') parts.set(id, { kind: 'network', place: id, type, props });
  }
  return [...parts.values()];
}

class Reader {
  readonly #client: QmpClient;
  readonly #signal: AbortSignal;
  #waiting: (() => void)[] = [];
  #free = AT_ONCE;
  readonly #names = new Map<string, Promise<string[]>>();

  constructor(client: QmpClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  async deviceTree(): Promise<Part[]> {
    const line = { 'command-line': 'info qtree' };
    return parseDeviceTree(
      await this.#client.query('human-monitor-command', line, answers.monitorText, this.#signal),
    );
  }

  async object({ place, path, type }: QomObject, kind: PartKind): Promise<Part[]> {
    const props = await this.#values(path, await this.#settings(path));
    return [{ kind, place, type, props }];
  }

  async objects(): Promise<Part[]> {
    const found = await this.#children('/objects');
    const parts = found.map(({ path, name, type }) =>
      this.object({ place: name, path, type }, 'object'),
    );
    return (await Promise.all(parts)).flat();
  }

  /**
   * Present processors, and the first one's properties without features, which the CPUID words verify. The
   * others are made from the same option.
   */
  async processors(): Promise<Part[]> {
    const list = await this.#client.query('query-hotpluggable-cpus', {}, slots, this.#signal);
    const parts = list.map((slot, index): Part => {
      const props = Object.fromEntries([
        ...propertiesOf('props', slot.props),
        ['vcpus', String(slot['vcpus-count'])],
        ['plugged', String(slot['qom-path'] !== undefined)],
      ]);
      const at = Object.values(slot.props).join(':') || String(index);
      return { kind: 'processor', place: `processor ${at}`, type: slot.type, props };
    });
    const [first] = await this.#client.query('query-cpus-fast', {}, answers.cpus, this.#signal);
    const path = first?.['qom-path'];
    if (path === undefined) return parts;
    const settings = await this.#settings(path, (name, type) => {
      return type !== 'bool' || NON_FEATURES.test(name);
    });
    const props = await this.#values(path, settings);
    return [...parts, { kind: 'processor', place: 'processor', type: '', props }];
  }

  /** Device properties that the tree does not show: boot order, queue lists, virtio features. */
  async moreOfDevices(tree: readonly Part[]): Promise<{ more: Part[]; virtio: VirtioDevice[] }> {
    const shown = shownByType(tree);
    const [named, unnamed, builtIn] = await Promise.all(
      ['peripheral', 'peripheral-anon', 'unattached'].map((each) =>
        this.#children(`/machine/${each}`),
      ),
    );
    const ofMachine = (builtIn ?? []).filter(({ type }) => /^(ide|scsi)-|^floppy$/.test(type));
    const found = [
      ...(named ?? []).map(({ name, path, type }) => ({ place: name, path, type })),
      ...(await this.#placed([...ofMachine, ...(unnamed ?? [])])),
    ];
    const parts = await Promise.all(
      found.map(async ({ place, path, type }): Promise<Part | undefined> => {
        const names = await this.#namesOf(type, path, shown.get(type));
        const props = await this.#values(path, names);
        if (Object.keys(props).length === 0) return undefined;
        return { kind: 'device', place: `${place}${AS_OBJECT}`, type, props };
      }),
    );
    const virtio = await Promise.all(found.map((each) => this.#virtio(each)));
    const isThere = <T>(each: T | undefined): each is T => each !== undefined;
    return { more: parts.filter(isThere), virtio: virtio.filter(isThere) };
  }

  async #virtio({ place, path, type }: QomObject): Promise<VirtioDevice | undefined> {
    if (!VIRTIO.test(type)) return undefined;
    const args = { path: `${path}/virtio-backend` };
    const answer = await this.#run(() =>
      this.#client.request('x-query-virtio-status', args, this.#signal),
    );
    return answer.ok ? virtioDeviceOf(place, answer.value) : undefined;
  }

  async #placed(found: readonly { path: string; type: string }[]): Promise<QomObject[]> {
    const buses = await Promise.all(found.map(({ path }) => this.#get(path, 'parent_bus')));
    const seen = new Map<string, number>();
    return found.map(({ path, type }, index) => {
      const bus = buses[index];
      const own = `${type}@${typeof bus === 'string' ? (bus.split('/').at(-1) ?? '') : ''}`;
      const number = (seen.get(own) ?? 0) + 1;
      seen.set(own, number);
      return { place: number === 1 ? own : `${own}#${number}`, path, type };
    });
  }

  #namesOf(type: string, path: string, shown: ReadonlySet<string> | undefined): Promise<string[]> {
    const known = this.#names.get(type);
    if (known !== undefined) return known;
    const asked = this.#settings(path, (name) => shown?.has(name) !== true);
    this.#names.set(type, asked);
    return asked;
  }

  async #settings(
    path: string,
    isWanted: (name: string, type: string) => boolean = () => true,
  ): Promise<string[]> {
    const list = await this.#run(() =>
      this.#client.query('qom-list', { path }, answers.qomList, this.#signal),
    );
    return list
      .filter(({ name, type }) => !NO_SETTING.test(name) && !NO_VALUE.test(type))
      .filter(({ name, type }) => isWanted(name, type))
      .map(({ name }) => name);
  }

  async #values(path: string, names: readonly string[]): Promise<Record<string, string>> {
    const reported = await Promise.all(names.map((name) => this.#get(path, name)));
    const pairs = names.flatMap((name, index) => {
      return reported[index] === undefined ? [] : propertiesOf(name, reported[index]);
    });
    return Object.fromEntries(pairs);
  }

  async #get(path: string, property: string): Promise<unknown> {
    const answer = await this.#run(() =>
      this.#client.request('qom-get', { path, property }, this.#signal),
    );
    return answer.ok ? answer.value : undefined;
  }

  async #children(path: string) {
    const list = await this.#run(() =>
      this.#client.query('qom-list', { path }, answers.qomList, this.#signal),
    );
    return list
      .slice(0, MAX_OBJECTS)
      .flatMap(({ name, type: reported }) => {
        const type = /^child<(.+)>$/.exec(reported)?.[1];
        return type === undefined ? [] : [{ path: `${path}/${name}`, name, type }];
      })
      .toSorted((one, two) => numberOf(one.name) - numberOf(two.name));
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Numeric order, because `device[10]` was made after `device[9]`. */
function numberOf(name: string): number {
  return Number(/\[(\d+)\]$/.exec(name)?.[1] ?? 0);
}

/** Properties that the tree shows for each type; for a virtio transport, the properties of both. */
function shownByType(tree: readonly Part[]): Map<string, Set<string>> {
  const shown = new Map<string, Set<string>>();
  const add = (type: string, { props }: Part): void => {
    const own = shown.get(type) ?? new Set();
    for (const [name, reported] of Object.entries(props))
      if (reported !== '<omitted>') own.add(name);
    shown.set(type, own);
  };
  const types = new Map(tree.map(({ place, type }) => [place, type]));
  for (const part of tree) {
    add(part.type, part);
    const carrier = types.get(part.place.slice(0, part.place.lastIndexOf('/')));
    if (carrier !== undefined) add(carrier, part);
  }
  return shown;
}
