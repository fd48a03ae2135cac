import type { StartPermission } from '../../src/migration/permission/permission.ts';
import { z } from 'zod';
import { godwitError, GodwitError } from '../../src/errors.ts';
import {
  pass,
  refusal as refusalOf,
  type NamedCheck,
} from '../../src/migration/preflight/check.ts';
import type { CheckName } from '../../src/migration/preflight/table.ts';
import type { GuestDescription, StreamSettings } from '../../src/protocol/peer/migration.ts';
import type {
  DestinationOptions,
  DestinationSession,
  HypervisorEvent,
  HypervisorStatus,
  Listens,
  NicPlan,
  StreamSetup,
} from '../../src/port/direct.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import { defined } from '../../src/protocol/defined.ts';
import { instanceIn } from './handle.ts';
import type { FakeInstance } from './instance.ts';
import type { FakeWorld } from './world.ts';

/** From the end of the hypervisor that was built until the one that starts the guest is there, ms. */
const STARTS_COLD_MS = 100;

const spec = z.strictObject({
  machine: z.string().max(64),
  dirtyRate: z.number().nonnegative(),
  nics: z.array(z.strictObject({ id: z.string(), mac: z.string(), bridge: z.string() })).max(64),
});

export class FakeDestination implements DestinationSession {
  readonly #world: FakeWorld;
  readonly #options: DestinationOptions;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  readonly #following: (() => void)[] = [];
  #instance: FakeInstance | undefined;
  #isClosed = false;

  constructor(world: FakeWorld, options: DestinationOptions) {
    this.#world = world;
    this.#options = options;
    // One that has ended as well: it names the guest that is started cold.
    const { handle } = options;
    this.#instance =
      handle === undefined
        ? undefined
        : world.instances.find(({ pid }) => pid === instanceIn(handle));
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#instance?.alive === true ? this.#instance.listen(listener) : undefined;
    if (stop !== undefined) this.#following.push(stop);
    return () => {
      this.#listeners.delete(listener);
      stop?.();
    };
  }

  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    this.#world.enter('destination.status', signal);
    return this.#instance?.status ?? { run: 'gone', stream: 'none', reason: 'it was not started' };
  }

  async assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
  ): Promise<NamedCheck[]> {
    this.#world.enter('destination.assess', signal);
    const { machine } = this.#read(description);
    const host = this.#options.host;
    const known = this.#world.options.hosts[host]?.machines ?? ['fake-1'];
    const bridges = this.#world.options.hosts[host]?.bridges ?? [];
    const checks: NamedCheck[] = this.nics(description).flatMap(({ id, bridge }) => {
      if (bridge === undefined || bridges.includes(bridge)) return [];
      const facts = { device: id, guest: description.name, host, what: `no bridge ${bridge}` };
      return [refusal('network', godwitError('GODWIT_DEVICE_UNMAPPED', facts))];
    });
    const error = godwitError('GODWIT_MACHINE_TYPE', { host, machine, version: '1.0.0' });
    if (!known.includes(machine)) return [...checks, refusal('machine', error)];
    const reason = this.#world.whyNot(host, stream);
    if (reason !== undefined) {
      const what = `--compress ${stream.compress}`;
      return [...checks, refusal('stream', godwitError('GODWIT_CAPABILITY', { what, reason }))];
    }
    return [...checks, pass('machine', machine, 'destination')];
  }

  nics(description: GuestDescription): NicPlan[] {
    return this.#read(description).nics.map(({ id, mac, bridge }) => ({
      id,
      mac,
      bridge: this.#options.networks[bridge] ?? bridge,
    }));
  }

  async start(
    description: GuestDescription,
    setup: StreamSetup,
    _ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<{ handle: GuestHandle; memoryAddress: string }> {
    this.#world.enter('destination.start', signal);
    const already = this.#instance;
    if (already?.alive === true && already.address !== undefined) {
      return { handle: already.handle, memoryAddress: already.address };
    }
    const { host, listenHost } = this.#options;
    const refused = (await this.assess(description, setup, signal)).find(
      ({ error }) => error,
    )?.error;
    if (refused !== undefined) throw new GodwitError(refused);
    const { machine, dirtyRate, nics } = this.#read(description);
    const { name, uuid, memoryBytes } = description;
    const guest = { name, ...defined({ uuid }), host, memoryBytes, dirtyRate, machine, nics };
    const instance = this.#world.add(guest, host, 'incoming');
    instance.settings = { ...setup };
    instance.address =
      setup.socket === undefined
        ? `${listenHost}:${this.#world.nextPort()}`
        : `unix:${setup.socket}`;
    this.#follow(instance);
    return { handle: instance.handle, memoryAddress: instance.address };
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.#options.guest);
    this.#world.enter('destination.resumeGuest', signal);
    const instance = this.#held();
    if (instance.run === 'incoming')
      throw this.#refused('resumeGuest', 'its state has not arrived');
    instance.resume();
  }

  async startCold(permission: StartPermission, signal: AbortSignal): Promise<GuestHandle> {
    permission.mustCover(this.#options.guest);
    this.#world.enter('destination.startCold', signal);
    const { host } = this.#options;
    const again = this.#startedCold();
    if (again !== undefined) return this.#follow(again).handle;
    const waiting = this.#instance;
    if (waiting === undefined) throw this.#refused('startCold', 'nothing was built');
    // This end is ordered: it is not an event.
    for (const stop of this.#following.splice(0)) stop();
    this.#world.kill(waiting);
    await this.#world.options.clock.sleep(STARTS_COLD_MS);
    // A process is started by its mover, not by a session that outlives it.
    if (this.#isClosed) throw this.#refused('startCold', 'its session is closed');
    const instance = this.#world.add(waiting.guest, host, 'paused');
    instance.isCold = true;
    return this.#follow(instance).handle;
  }

  /** Also by an earlier mover that did not live to write it down. */
  #startedCold(): FakeInstance | undefined {
    const { host, guest } = this.#options;
    return this.#world.instances.find(
      (one) => one.alive && one.host === host && one.name === guest && one.isCold,
    );
  }

  #follow(instance: FakeInstance): FakeInstance {
    for (const stop of this.#following.splice(0)) stop();
    instance.held = true;
    this.#instance = instance;
    for (const listener of this.#listeners) this.#following.push(instance.listen(listener));
    return instance;
  }

  async announce(signal: AbortSignal): Promise<void> {
    this.#world.enter('destination.announce', signal);
    this.#held();
  }

  async listenAgain(signal: AbortSignal, _host?: string, socket?: string): Promise<Listens> {
    this.#world.enter('destination.listenAgain', signal);
    const instance = this.#held();
    instance.breakStream('resumed');
    if (instance.stream !== 'postcopy-paused') {
      throw this.#refused('listenAgain', `it is ${instance.stream}`);
    }
    instance.address =
      socket === undefined
        ? `${this.#options.listenHost}:${this.#world.nextPort()}`
        : `unix:${socket}`;
    return { memoryAddress: instance.address };
  }

  async settle(signal: AbortSignal): Promise<void> {
    this.#world.enter('destination.settle', signal);
    const instance = this.#held();
    instance.settings = {};
    instance.address = undefined;
  }

  async destroy(signal: AbortSignal): Promise<void> {
    this.#world.enter('destination.destroy', signal);
    // Also one that an earlier mover started without living to write it down; QEMU leaves its pid file.
    const { host, guest } = this.#options;
    const orphan = this.#world.instances.find(
      (one) => one.alive && one.host === host && one.name === guest && one.run === 'incoming',
    );
    for (const one of [this.#instance, orphan, this.#startedCold()])
      if (one !== undefined) this.#world.kill(one);
    this.#instance = undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#instance !== undefined) this.#instance.held = false;
    this.#listeners.clear();
  }

  #held(): FakeInstance {
    if (this.#instance?.alive === true) return this.#instance;
    const { guest } = this.#options;
    const reason = 'its process has ended';
    throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  }

  #read(description: GuestDescription): z.infer<typeof spec> {
    const parsed = spec.safeParse(description.spec);
    if (parsed.success) return parsed.data;
    throw godwitError('GODWIT_PROTOCOL_INVALID', {
      peer: 'the source',
      expected: 'the description of a fake guest',
      what: z.prettifyError(parsed.error).slice(0, 500),
    });
  }

  #refused(command: string, reason: string): Error {
    const { host } = this.#options;
    return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'fake', host, command, reason });
  }
}

function refusal(name: CheckName, error: GodwitError): NamedCheck {
  return refusalOf(name, error, 'destination');
}
