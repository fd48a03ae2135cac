import type { StartPermission } from '../../src/migration/permission/permission.ts';
import { godwitError } from '../../src/errors.ts';
import { pass, refusal, type NamedCheck } from '../../src/migration/preflight/check.ts';
import { defined } from '../../src/protocol/defined.ts';
import type { MemorySample } from '../../src/protocol/public/migration.ts';
import type { SteeringMeasure } from '../../src/protocol/public/steering.ts';
import type { GuestMeasure } from '../../src/protocol/public/prediction.ts';
import type { StreamSettings } from '../../src/protocol/peer/migration.ts';
import type {
  HypervisorEvent,
  HypervisorStatus,
  Launch,
  SourceSession,
  StreamSetup,
} from '../../src/port/direct.ts';
import type { StreamChange } from '../../src/port/stream-change.ts';
import type { Inspection } from '../../src/port/inspection.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import type { FakeInstance } from './instance.ts';
import { pump } from './stream.ts';
import type { FakeWorld } from './world.ts';

/** A guest takes its time to shut down, ms. */
const SHUTS_DOWN_MS = 200;

export class FakeSource implements SourceSession {
  readonly handle: GuestHandle;
  readonly #world: FakeWorld;
  readonly #instance: FakeInstance;

  constructor(world: FakeWorld, instance: FakeInstance) {
    this.#world = world;
    this.#instance = instance;
    this.handle = instance.handle;
    instance.held = true;
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    return this.#instance.listen(listener);
  }

  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    this.#world.enter('source.status', signal);
    const { status } = this.#instance;
    // As with QEMU: a guest that arrived by migration does not count that one as its own.
    return status.run === 'running' && status.stream === 'completed'
      ? { run: 'running', stream: 'none' }
      : status;
  }

  async ports(signal: AbortSignal): Promise<string[]> {
    this.#enter('ports', signal);
    return (this.#instance.guest.nics ?? []).map((_, index) => `fake${index}`);
  }

  async launch(signal: AbortSignal): Promise<Launch> {
    this.#enter('launch', signal);
    return { binary: 'fake', argv: [this.handle.name], cwd: '/' };
  }

  async inspect(stream: Omit<StreamSettings, 'tls'>, signal: AbortSignal): Promise<Inspection> {
    this.#enter('inspect', signal);
    const { guest, run } = this.#instance;
    const checks = (guest.unmovable ?? []).map((device): NamedCheck => {
      const facts = { device, type: 'fake', guest: guest.name, reason: 'it was made so' };
      return refusal('devices', godwitError('GODWIT_DEVICE_UNMOVABLE', facts));
    });
    if (run !== 'running') {
      const error = godwitError('GODWIT_GUEST_STATE', { guest: guest.name, state: run });
      checks.push(refusal('state', error));
    }
    checks.push(pass('stream', stream.mode));
    const { nics = [], machine = 'fake-1' } = guest;
    const { memoryBytes, dirtyRate } = guest;
    return {
      description: {
        driver: 'fake',
        name: guest.name,
        ...defined({ uuid: guest.uuid }),
        memoryBytes,
        vcpus: 1,
        hypervisorVersion: '1.0.0',
        spec: { machine, dirtyRate, nics },
      },
      checks,
    };
  }

  async measure(signal: AbortSignal): Promise<GuestMeasure> {
    this.#enter('measure', signal);
    const { memoryBytes, dirtyRate } = this.#instance.guest;
    const curve = [1000, 3000].map((windowMs) => ({
      windowMs,
      dirtyBytes: Math.min(memoryBytes, (dirtyRate * windowMs) / 1000),
    }));
    return { how: 'hypervisor', memoryBytes, pages: 0, curve };
  }

  async whyNot(stream: Omit<StreamSettings, 'tls'>, signal: AbortSignal) {
    this.#enter('whyNot', signal);
    return this.#world.whyNot(this.#instance.host, stream);
  }

  async configure(setup: StreamSetup, signal: AbortSignal): Promise<void> {
    this.#enter('configure', signal);
    this.#instance.settings = { ...setup };
  }

  async startMemory(
    address: string,
    _tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    this.#enter('startMemory', signal);
    const source = this.#instance;
    const peer = this.#connect(address);
    Object.assign(source, {
      wantsPostcopy: false,
      mayContinue: false,
      runsOn: true,
      transferredBytes: 0,
    });
    source.remainingBytes = source.guest.memoryBytes;
    source.downtimeMs = undefined;
    source.endedMs = undefined;
    source.startedMs = this.#world.options.clock.monotonicMs();
    source.peer = peer;
    peer.peer = source;
    peer.to('setup');
    source.to('setup');
    void pump(this.#world, source);
  }

  async sample(signal: AbortSignal): Promise<MemorySample> {
    this.#enter('sample', signal);
    const { guest, stream, ...now } = this.#instance;
    const { clock, linkRate } = this.#world.options;
    const rate = Math.min(linkRate, now.settings.maxBandwidth ?? Infinity);
    return {
      totalBytes: guest.memoryBytes,
      remainingBytes: now.remainingBytes,
      transferredBytes: now.transferredBytes,
      skippedBytes: 0,
      rate: stream === 'none' ? 0 : rate,
      dirtyRate: now.round > 1 ? guest.dirtyRate : 0,
      round: now.round,
      totalMs: (now.endedMs ?? clock.monotonicMs()) - now.startedMs,
      pageRequests: 0,
      ...defined({ downtimeMs: now.downtimeMs }),
    };
  }

  async levers(signal: AbortSignal): Promise<readonly SteeringMeasure[]> {
    this.#enter('levers', signal);
    const isPrecopy = this.#instance.settings.mode === 'precopy';
    return isPrecopy ? ['downtime'] : ['downtime', 'postcopy'];
  }

  async adjust(change: StreamChange, signal: AbortSignal): Promise<void> {
    this.#enter('adjust', signal);
    const isFree = change.maxBandwidth === 0;
    Object.assign(this.#instance.settings, change, isFree ? { maxBandwidth: undefined } : {});
  }

  async startPostcopy(signal: AbortSignal): Promise<void> {
    this.#enter('startPostcopy', signal);
    if (this.#instance.settings.mode === 'precopy')
      throw this.#refused('startPostcopy', 'not set up');
    this.#instance.wantsPostcopy = true;
    this.#instance.stop();
    this.#instance.runsOn = false;
  }

  async continueSwitchover(signal: AbortSignal): Promise<void> {
    this.#enter('continueSwitchover', signal);
    const { stream } = this.#instance;
    if (/^(device|completed|postcopy-)/.test(stream)) return;
    if (stream !== 'pre-switchover') throw this.#refused('continueSwitchover', `it is ${stream}`);
    this.#instance.mayContinue = true;
  }

  async cancel(signal: AbortSignal): Promise<HypervisorStatus> {
    this.#enter('cancel', signal);
    const source = this.#instance;
    if (/^(setup|active|pre-switchover|device)$/.test(source.stream)) {
      source.to('cancelled');
      if (source.runsOn) source.resume();
      source.peer?.breakStream('the source cancelled');
    }
    return source.status;
  }

  async recover(
    address: string,
    _tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    this.#enter('recover', signal);
    const source = this.#instance;
    source.breakStream('resumed');
    if (source.stream !== 'postcopy-paused')
      throw this.#refused('recover', `it is ${source.stream}`);
    const peer = this.#connect(address);
    source.peer = peer;
    peer.to('postcopy-recovering');
    source.to('postcopy-recovering');
    void pump(this.#world, source);
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.#instance.name);
    this.#enter('resumeGuest', signal);
    this.#instance.resume();
  }

  async stopGuest(signal: AbortSignal): Promise<void> {
    this.#enter('stopGuest', signal);
    this.#instance.stop();
  }

  async shutDown(signal: AbortSignal): Promise<void> {
    this.#enter('shutDown', signal);
    const instance = this.#instance;
    instance.goesDown ??= this.#world.options.clock
      .sleep(SHUTS_DOWN_MS)
      .then(() => instance.stop());
    await instance.goesDown;
    this.#enter('shutDown', signal);
  }

  async startAgain(
    _withinMs: number,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<void> {
    permission.mustCover(this.#instance.name);
    this.#enter('startAgain', signal);
    // One that is on its way down cannot be kept from it.
    await this.#instance.goesDown;
    this.#instance.goesDown = undefined;
    this.#enter('startAgain', signal);
    this.#instance.resume();
  }

  async unconfigure(signal: AbortSignal): Promise<void> {
    this.#enter('unconfigure', signal);
    this.#instance.settings = {};
  }

  async quit(signal: AbortSignal): Promise<void> {
    this.#world.enter('source.quit', signal);
    this.#instance.end('it was ordered to quit');
  }

  async close(): Promise<void> {
    this.#instance.held = false;
  }

  #connect(address: string): FakeInstance {
    const peer = this.#world.linkUp ? this.#world.listeningAt(address) : undefined;
    if (peer === undefined) throw this.#refused('connect', `nobody listens at ${address}`);
    return peer;
  }

  #enter(call: string, signal: AbortSignal): void {
    this.#world.enter(`source.${call}`, signal);
    if (this.#instance.alive) return;
    const guest = this.handle.name;
    const reason = 'its process has ended';
    throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest, reason });
  }

  #refused(command: string, reason: string): Error {
    const { host } = this.#instance;
    return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'fake', host, command, reason });
  }
}
