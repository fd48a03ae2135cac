import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { hostsOf } from '../../../config.ts';
import type { DestinationSession, StreamSetup } from '../../../port/direct.ts';
import { toGodwitError, godwitError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import { defined } from '../../../protocol/defined.ts';
import type { Preparation, PrepareAnswer } from '../../../protocol/peer/migration.ts';
import type { TargetWire } from '../../../wire/open.ts';
import { hostCredentials } from '../../../host/credentials.ts';
import { cacheFor, codecCores } from '../../../host/wire.ts';
import { streamTls } from '../credentials.ts';
import { listenHostFor, listening, type DestinationContext } from './destination-context.ts';

/** Wait for the source to close its end, ms. */
const CLOSE_MS = 3000;

/** Memory's path into this host: to the hypervisor, or to this mover's end of the wire. */
export class DestinationDataPath {
  readonly #context: Pick<DestinationContext, 'config' | 'dir' | 'log' | 'wire'>;
  #open: { readonly wire: TargetWire; readonly session: string } | undefined;

  constructor(context: Pick<DestinationContext, 'config' | 'dir' | 'log' | 'wire'>) {
    this.#context = context;
  }

  setup(state: DestinationState, { description, stream }: Preparation): StreamSetup {
    const { config, dir } = this.#context;
    const disks = description.disks === undefined ? {} : { disks: true };
    // Only the source decides when to switch over, so this limit is not used.
    const setup = { ...stream, ...disks, maxDowntimeMs: 300 };
    const socket = this.socketFor(state);
    if (socket === undefined)
      return { ...setup, credentials: streamTls(config, dir, state.admission.from) };
    // The hypervisor only talks to this mover; the wire has TLS between the hosts.
    return { ...setup, tls: false, socket };
  }

  socketFor({ preparation, admission }: DestinationState): string | undefined {
    if (preparation?.wire === undefined) return undefined;
    return path.join(this.#context.config.stateDir, 'guests', admission.guest, 'wire.sock');
  }

  async address(state: DestinationState, memoryAddress: string): Promise<string> {
    return this.socketFor(state) === undefined
      ? memoryAddress
      : (await this.#listen(state)).address;
  }

  /** Answer to the source. After a takeover, its wire session is a new one. */
  async prepared(state: DestinationState): Promise<PrepareAnswer> {
    const { config } = this.#context;
    if (this.socketFor(state) === undefined) return listening(config, state.memoryAddress);
    const { address, session } = await this.#listen(state);
    return { ...listening(config, address), wire: { session } };
  }

  async again(
    hypervisor: DestinationSession,
    state: DestinationState,
    signal: AbortSignal,
    calledAt: string | undefined,
  ): Promise<PrepareAnswer> {
    const { config } = this.#context;
    this.abort('post-copy is resumed');
    const host = listenHostFor(config, calledAt);
    const { memoryAddress } = await hypervisor.listenAgain(signal, host, this.socketFor(state));
    return this.socketFor(state) === undefined
      ? listening(config, memoryAddress)
      : this.prepared(state);
  }

  async #listen(state: DestinationState): Promise<{ address: string; session: string }> {
    if (this.#open === undefined) {
      const session = randomBytes(16).toString('hex');
      const wire = await this.#openWire(state, session);
      this.#open = { wire, session };
      wire.ended.catch((thrown: unknown) => {
        if (this.#open?.wire !== wire) return;
        this.#context.log.warn({ error: toGodwitError(thrown) }, 'the wire is broken');
      });
    }
    const { wire, session } = this.#open;
    return { address: wire.address, session };
  }

  async #openWire(state: DestinationState, session: string): Promise<TargetWire> {
    const { config, log, wire } = this.#context;
    const { admission, preparation } = state;
    const socket = this.socketFor(state);
    if (wire === undefined || preparation?.wire === undefined || socket === undefined) {
      throw godwitError('GODWIT_INTERNAL', { what: 'memory over a wire that was not offered' });
    }
    const { guest, id, from, epoch } = admission;
    const cache = cacheFor(config, guest, preparation.wire, from);
    return wire.target({
      migration: id,
      epoch,
      session,
      peer: from,
      credentials: hostCredentials(config),
      memoryBytes: preparation.description.memoryBytes,
      graceMs: preparation.wire.linkGraceMs,
      cores: codecCores(config),
      socket,
      hosts: hostsOf(config),
      ports: config.ports,
      log,
      ...defined({ cache }),
    });
  }

  /** The stream has ended: delivers data in flight. Never rejects. */
  async end(state: DestinationState): Promise<void> {
    await this.#open?.wire.close(CLOSE_MS);
    this.#open = undefined;
    const socket = this.socketFor(state);
    if (socket !== undefined) await rm(socket, { force: true });
  }

  abort(why: string): void {
    this.#open?.wire.abort(new Error(why));
    this.#open = undefined;
  }
}
