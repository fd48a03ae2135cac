import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { hostsOf } from '../../../../config.ts';
import type { TargetTunnel } from '../../../../disks/copy/tunnel/open.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import { godwitError, toGodwitError } from '../../../../errors.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import type { Admission, DiskTunnel } from '../../../../protocol/peer/migration.ts';
import { optimiseWhatIsHot } from '../../../../system/processes/small-process.ts';
import { hostCredentials } from '../../../../host/credentials.ts';
import type { DestinationContext } from '../destination-context.ts';

/** Receives disk copies: the hypervisor exports the images, and this mover fills them. */
export class DestinationDisks {
  readonly #context: Pick<DestinationContext, 'config' | 'log'>;
  #tunnel: TargetTunnel | undefined;

  constructor(context: Pick<DestinationContext, 'config' | 'log'>) {
    this.#context = context;
  }

  async offer(
    hypervisor: DestinationSession,
    state: DestinationState,
    graceMs: number,
    signal: AbortSignal,
  ): Promise<DiskTunnel> {
    const { log } = this.#context;
    const { admission, preparation } = state;
    const nodes = (preparation?.copies ?? []).map(({ node }) => node);
    if (nodes.length === 0 || hypervisor.disks === undefined) {
      const what = 'disks that nobody said would be copied';
      throw godwitError('GODWIT_PROTOCOL_INVALID', {
        peer: admission.from,
        expected: 'a copy',
        what,
      });
    }
    const socket = socketOf(this.#context, state);
    // First, because a hypervisor blocked by a silent client reacts to nothing.
    this.abort('the disks are copied over a new session');
    await hypervisor.disks.serve(nodes, socket, signal);
    const { tunnel, session } = await openTunnel(this.#context, admission, graceMs, socket);
    this.#tunnel = tunnel;
    tunnel.ended.catch((thrown: unknown) => {
      if (this.#tunnel !== tunnel) return;
      log.warn({ error: toGodwitError(thrown) }, 'the session of the disks is over');
    });
    return { address: tunnel.address, session };
  }

  /** The copies are whole; from here on only the guest writes to them. */
  async end(
    hypervisor: DestinationSession,
    state: DestinationState,
    signal: AbortSignal,
    watched = false,
  ): Promise<void> {
    // The source calls a copy whole only after a flush.
    this.abort('the copies are whole');
    // In parallel, because the guest is paused.
    const nodes = watched ? (state.preparation?.copies ?? []).map(({ node }) => node) : [];
    await Promise.all([
      hypervisor.disks?.end(signal),
      nodes.length === 0 ? undefined : hypervisor.disks?.watch?.begin(nodes, signal),
    ]);
    await rm(socketOf(this.#context, state), { force: true });
  }

  abort(why: string): void {
    this.#tunnel?.abort(new Error(why));
    this.#tunnel = undefined;
  }
}

/** This mover's end of a session with the source's mover; the hypervisor connects over `socket`. */
export async function openTunnel(
  { config, log }: Pick<DestinationContext, 'config' | 'log'>,
  { id, from, epoch }: Pick<Admission, 'id' | 'from' | 'epoch'>,
  graceMs: number,
  socket: string,
): Promise<{ readonly tunnel: TargetTunnel; readonly session: string }> {
  const session = randomBytes(16).toString('hex');
  optimiseWhatIsHot();
  const { openTargetTunnel } = await import('../../../../disks/copy/tunnel/open.ts');
  const tunnel = await openTargetTunnel({
    migration: id,
    epoch,
    session,
    peer: from,
    credentials: hostCredentials(config),
    graceMs,
    socket,
    hosts: hostsOf(config),
    ports: config.ports,
    log,
  });
  return { tunnel, session };
}

function socketOf(
  { config }: Pick<DestinationContext, 'config'>,
  { admission }: DestinationState,
): string {
  return path.join(config.stateDir, 'guests', admission.guest, 'disks.sock');
}
