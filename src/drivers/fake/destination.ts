import type { StartPermission } from '../../migration/permission/permission.ts';
import { z } from 'zod';
import { godwitError, GodwitError } from '../../errors.ts';
import { pass, refusal as refusalOf, type NamedCheck } from '../../migration/preflight/check.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  DestinationOptions,
  DestinationSession,
  HypervisorEvent,
  HypervisorStatus,
  Listens,
  NicPlan,
  StreamSetup,
} from '../../port/direct.ts';
import type { GuestHandle } from '../../port/inventory.ts';
import type { FakeInstance } from './instance.ts';
import type { FakeWorld } from './world.ts';

const spec = z.strictObject({
  machine: z.string().max(64),
  dirtyRate: z.number().nonnegative(),
  nics: z.array(z.strictObject({ id: z.string(), mac: z.string(), bridge: z.string() })).max(64),
});

export class FakeDestination implements DestinationSession {
  readonly #world: FakeWorld;
  readonly #options: DestinationOptions;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #instance: FakeInstance | undefined;

  constructor(world: FakeWorld, options: DestinationOptions) {
    this.#world = world;
    this.#options = options;
    this.#instance = options.handle === undefined ? undefined : world.find(options.handle);
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#instance?.listen(listener);
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
    const { name, memoryBytes } = description;
    const guest = { name, host, memoryBytes, dirtyRate, machine, nics };
    const instance = this.#world.add(guest, host, 'incoming');
    instance.settings = { ...setup };
    instance.address =
      setup.socket === undefined
        ? `${listenHost}:${this.#world.nextPort()}`
        : `unix:${setup.socket}`;
    instance.held = true;
    this.#instance = instance;
    for (const listener of this.#listeners) instance.listen(listener);
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
    for (const one of [this.#instance, orphan]) if (one !== undefined) this.#world.kill(one);
    this.#instance = undefined;
  }

  async close(): Promise<void> {
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
