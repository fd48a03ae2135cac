import { godwitError, type GodwitError } from '../../errors.ts';
import type { ManagedOrder, Whereabouts } from '../../migration/managed/task-sight.ts';
import { at, textAt } from '../../formats/xml.ts';
import { isFault, VsphereFault, type VsphereClient } from './client.ts';
import { denied, wordsOf } from './faults.ts';
import type { VsphereHandle } from './handle.ts';
import { isCount, MIB, stateOf, wordIn } from './inventory.ts';
import { ATTRIBUTE, markText, parseMark, type Mark } from './mark.ts';
import { hostNameOf } from './names.ts';
import type { Vcenter } from './options.ts';
import type { OtherVcenters } from './other-vcenters.ts';
import { HostsByName } from './places.ts';
import { neededIn } from './judge/requirements.ts';
import { ref, refIn, text, type Ref } from './soap.ts';
import { isMoving, TASK_PROPERTIES, taskIn, type Task } from './task.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';

const PROPERTIES = [
  'name',
  'summary.config.instanceUuid',
  'customValue',
  'recentTask',
  'runtime.host',
  'summary.config.vmPathName',
  'runtime.connectionState',
  'runtime.powerState',
  'runtime.minRequiredEVCModeKey',
  'runtime.featureRequirement',
  'disabledMethod',
  'config.migrateEncryption',
];
const MOVE = 'RelocateVM_Task';
const MAX_TASKS = 16;

export interface GuestSight {
  readonly host: Ref | undefined;
  readonly state: GuestRunState;
  /** Tasks of the last minutes. */
  readonly tasks: readonly Ref[];
  readonly values: ReadonlyMap<string, string>;
  /** vSphere allows the move now. */
  readonly isMovable: boolean;
  readonly evcMode: string | undefined;
  /** Processor features that it has used since its start. */
  readonly needed: readonly string[];
  /** vMotion encryption: `disabled`, `opportunistic` or `required`. */
  readonly encryption: string;
  /** Path of its files: `[datastore] directory/file`. */
  readonly path: string;
}

/** Queries and writes of one guest in one vCenter. */
export class VsphereGuest {
  readonly client: VsphereClient;
  readonly ref: Ref;
  readonly options: Vcenter;
  readonly hosts: HostsByName;
  /** Other vCenters that may have it; absent: none. */
  readonly others: OtherVcenters | undefined;
  readonly #instance: string;
  #attribute: string | undefined;

  constructor(
    client: VsphereClient,
    options: Vcenter,
    { vm, instance }: Pick<VsphereHandle, 'vm' | 'instance'>,
    others?: OtherVcenters,
  ) {
    this.client = client;
    this.options = options;
    this.others = others;
    this.hosts = new HostsByName(client, options);
    this.ref = { type: 'VirtualMachine', value: vm };
    this.#instance = instance;
  }

  /** Undefined if this vCenter no longer has it, or if another guest has its id. */
  async sight(signal: AbortSignal): Promise<GuestSight | undefined> {
    const [seen] = await this.client.retrieve([{ ref: this.ref, properties: PROPERTIES }], signal);
    if (seen === undefined) return undefined;
    const { properties } = seen;
    if (wordIn(properties, 'summary.config.instanceUuid') !== this.#instance) return undefined;
    const values = (properties.get('customValue')?.children ?? []).map((each) => {
      return [textAt(each, 'key') ?? '', textAt(each, 'value') ?? ''] as const;
    });
    const tasks = properties.get('recentTask')?.children ?? [];
    const disabled = properties.get('disabledMethod')?.children ?? [];
    return {
      host: refIn(properties.get('runtime.host')),
      state: stateOf(
        wordIn(properties, 'runtime.powerState'),
        wordIn(properties, 'runtime.connectionState'),
      ),
      tasks: tasks.flatMap((each) => refIn(each) ?? []).slice(-MAX_TASKS),
      values: new Map(values),
      isMovable: !disabled.some(({ text: method }) => method === MOVE),
      evcMode: wordIn(properties, 'runtime.minRequiredEVCModeKey'),
      needed: neededIn(properties.get('runtime.featureRequirement')),
      encryption: wordIn(properties, 'config.migrateEncryption') ?? '',
      path: wordIn(properties, 'summary.config.vmPathName') ?? '',
    };
  }

  /** Throws GODWIT_HYPERVISOR_LOST if there is none. */
  async needed(guest: string, signal: AbortSignal): Promise<GuestSight> {
    const sight = await this.sight(signal);
    if (sight !== undefined) return sight;
    const reason = 'its vCenter does not know it any more';
    throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest, reason });
  }

  async tasks(refs: readonly Ref[], signal: AbortSignal): Promise<Task[]> {
    if (refs.length === 0) return [];
    const wanted = refs.map((each) => ({ ref: each, properties: TASK_PROPERTIES }));
    const seen = await this.client.retrieve(wanted, signal);
    return seen.flatMap((each) => taskIn(each) ?? []);
  }

  /** Guest at another vCenter that shows it after its own vCenter does not. */
  async elsewhere(signal: AbortSignal): Promise<VsphereGuest | undefined> {
    const found = await this.others?.holding(this.#instance, signal);
    if (found === undefined) return undefined;
    const { client, options, vm } = found;
    return new VsphereGuest(client, options, { vm: vm.value, instance: this.#instance });
  }

  async where(
    order: Pick<ManagedOrder, 'from' | 'to' | 'datastore'>,
    signal: AbortSignal,
  ): Promise<Whereabouts> {
    const { from, to, datastore } = order;
    const sight = await this.sight(signal);
    // While its own vCenter shows it, another vCenter may show a part of the move.
    if (sight === undefined) {
      return (await this.elsewhere(signal))?.where(order, signal) ?? { at: 'unknown' };
    }
    // A disconnected host may have lost the guest meanwhile.
    if (sight.host === undefined || sight.state === 'unknown') return { at: 'unknown' };
    const [host] = await this.client.retrieve([{ ref: sight.host, properties: ['name'] }], signal);
    const own = host === undefined ? undefined : wordIn(host.properties, 'name');
    const name = own === undefined ? undefined : hostNameOf(own, this.options.hosts);
    const tasks = await this.tasks(sight.tasks, signal);
    const busy = tasks.some((task) => isMoving(task)) || !sight.isMovable;
    if (name === undefined) return { at: 'unknown', busy };
    // A datastore-only move has one host: its files show the result.
    const isThere =
      datastore === undefined || from !== to || sight.path.startsWith(`[${datastore}] `);
    if (name === to && isThere) return { at: 'destination', busy };
    return { at: name === from ? 'source' : 'elsewhere', busy };
  }

  /** Mark of that migration; undefined if there is none, or another migration's. */
  async mark(sight: GuestSight, id: string, signal: AbortSignal): Promise<Mark | undefined> {
    const mark = parseMark(await this.markText(sight, signal));
    return mark?.id === id ? mark : undefined;
  }

  async markText(sight: GuestSight, signal: AbortSignal): Promise<string | undefined> {
    const key = await this.#key(signal);
    return key === undefined ? undefined : sight.values.get(key);
  }

  async setMark(mark: Mark | undefined, signal: AbortSignal): Promise<void> {
    await this.setMarkText(mark === undefined ? '' : markText(mark), signal);
  }

  async setMarkText(value: string, signal: AbortSignal): Promise<void> {
    const { customFieldsManager } = this.client.content;
    const key = (await this.#key(signal)) ?? (await this.#addAttribute(signal));
    const parts = [ref('entity', this.ref), text('key', key), text('value', value)];
    await this.client.call('SetField', customFieldsManager, parts, signal);
  }

  /** Attribute key; undefined if the vCenter does not have it yet. */
  async #key(signal: AbortSignal): Promise<string | undefined> {
    if (this.#attribute !== undefined) return this.#attribute;
    const { customFieldsManager } = this.client.content;
    const wanted = { ref: customFieldsManager, properties: ['field'] };
    const [seen] = await this.client.retrieve([wanted], signal);
    const fields = seen?.properties.get('field')?.children ?? [];
    const found = fields.find((each) => textAt(each, 'name') === ATTRIBUTE);
    this.#attribute = found === undefined ? undefined : textAt(found, 'key');
    return this.#attribute;
  }

  async #addAttribute(signal: AbortSignal): Promise<string> {
    const { customFieldsManager } = this.client.content;
    const parts = [text('name', ATTRIBUTE), text('moType', 'VirtualMachine')];
    try {
      await this.client.call('AddCustomFieldDef', customFieldsManager, parts, signal);
    } catch (thrown) {
      // Another host's agent created it first.
      if (!isFault(thrown, 'DuplicateName')) throw thrown;
    }
    const key = await this.#key(signal);
    if (key === undefined) throw this.client.unreachable(`it has no attribute ${ATTRIBUTE}`);
    return key;
  }

  /** vCenter's time, ISO 8601. */
  async now(signal: AbortSignal): Promise<string> {
    const service = { type: 'ServiceInstance', value: 'ServiceInstance' };
    const [said] = await this.client.call('CurrentTime', service, [], signal);
    const ms = Date.parse(said?.text ?? '');
    if (Number.isNaN(ms)) throw this.client.unreachable('it does not say what time it is');
    return new Date(ms).toISOString();
  }

  /** Converts vSphere's refusal to Godwit's error with vSphere's message. */
  async reported<T>(command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof VsphereFault)) throw thrown;
      if (thrown.fault.type === 'NoPermission') throw denied(thrown.fault);
      throw this.refused(command, wordsOf(thrown.fault), thrown);
    }
  }

  refused(command: string, reason: string, cause?: unknown): GodwitError {
    const { host } = new URL(this.options.url);
    const facts = { hypervisor: 'vSphere', host, command, reason };
    const hint = 'The message is vSphere’s own; the task is in the list of its vCenter.';
    return godwitError('GODWIT_HYPERVISOR', facts, { hint, cause });
  }
}

/** Devices in `config.hardware.device` that bind a guest to its host. vGPUs are left to vSphere. */
export async function boundDevices(
  { client, ref: vm }: Pick<VsphereGuest, 'client' | 'ref'>,
  signal: AbortSignal,
): Promise<{ readonly memoryBytes: number; readonly devices: readonly string[] }> {
  const properties = ['summary.config.memorySizeMB', 'config.hardware.device'];
  const [seen] = await client.retrieve([{ ref: vm, properties }], signal);
  const memory = Number(
    (seen === undefined ? undefined : wordIn(seen.properties, 'summary.config.memorySizeMB')) ?? 0,
  );
  const all = seen?.properties.get('config.hardware.device')?.children ?? [];
  const devices = all
    .filter(({ attributes }) =>
      /^Virtual(PCIPassthrough|SriovEthernetCard|USB)$/.test(attributes['xsi:type'] ?? ''),
    )
    .filter(
      (each) =>
        !at(each, 'backing').some(({ attributes }) =>
          /Vmiop|Remote/.test(attributes['xsi:type'] ?? ''),
        ),
    )
    .map((each) => textAt(each, 'deviceInfo', 'label') ?? 'a device of its host');
  return { memoryBytes: isCount(memory) ? memory * MIB : 0, devices };
}
