import { rm } from 'node:fs/promises';
import path from 'node:path';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { StepFacts } from '../../../../migration/direct/source-state.ts';
import { defined } from '../../../../protocol/defined.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import { splitAddress, withHost } from '../../../../protocol/names.ts';
import type { SourceWire } from '../../../../wire/open.ts';
import { hostCredentials } from '../../../../host/credentials.ts';
import { budgetOf, cacheFor, codecCores, termsFor } from '../../../../host/wire.ts';
import type { WireOpeners } from '../../../engine/wire-openers.ts';
import { wireReport } from '../../../engine/wire-report.ts';
import { missing, saidLink, settingsNow, type SourceBase } from '../source-base.ts';

/** Once the hypervisor has sent everything, the rest may take this long to arrive, ms. */
const CLOSE_MS = 5000;

/** Where the hypervisor is to send its stream. */
export interface Target {
  readonly address: string;
  readonly tlsHostname: string | undefined;
}

/** The data path of memory out of this host: straight to the other hypervisor, or into this mover's end of the wire. */
export class SourceDataPath {
  readonly #openers: WireOpeners | undefined;
  readonly #log: Log;
  #wire: SourceWire | undefined;
  /** The destination's mover at the time; another one knows nothing of this session. */
  #mover: string | undefined;
  #why: string | undefined;

  constructor(openers: WireOpeners | undefined, log: Log) {
    this.#openers = openers;
    this.#log = log;
  }

  get offered(): boolean {
    return this.#openers !== undefined;
  }

  /** A session of the wire stands, or is about to be found broken. */
  get isOpen(): boolean {
    return this.#wire !== undefined;
  }

  /** Its session stands, and has no link now: that is its own to repair. */
  get isCut(): boolean {
    return this.#why === undefined && this.#wire?.measure.cutForMs !== undefined;
  }

  /** Its session has a link, so the mover at the other end lives. */
  get hasLink(): boolean {
    return this.isOpen && this.#why === undefined && !this.isCut;
  }

  /** Makes the path ready and says where memory is to be sent. An earlier session is journaled and closed. */
  async open(context: SourceBase, facts: StepFacts, signal: AbortSignal): Promise<Target> {
    const { memoryAddress, tlsHostname, wire } = facts;
    if (memoryAddress === undefined) throw missing('memoryAddress');
    if (wire === undefined) {
      const { transport } = context.state().plan.settings;
      if (transport === undefined || transport === 'tcp')
        return { address: memoryAddress, tlsHostname };
      const address = transport === 'rdma' ? `rdma:${memoryAddress}` : memoryAddress;
      return { address, tlsHostname: undefined };
    }
    this.abort(context, 'it is resumed');
    if (this.#openers === undefined) throw missing('the wire');
    const { plan, known } = context.state();
    const settings = settingsNow(context);
    const socket = path.join(context.dir, 'wire.sock');
    // A mover that was killed has left its own.
    await rm(socket, { force: true });
    const graceMs = settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS;
    const terms = termsFor(context.config, plan.guest, graceMs);
    const cache = cacheFor(context.config, plan.guest, terms, plan.to);
    const budget = budgetOf(context.config);
    const saidBytesPerS = saidLink(context)?.rate;
    const opened = await this.#openers.source(
      {
        migration: plan.id,
        epoch: plan.epoch,
        session: wire.session,
        peer: plan.to,
        credentials: hostCredentials(context.config),
        memoryBytes: known.description?.memoryBytes ?? context.request.memoryBytes,
        graceMs,
        cores: codecCores(context.config),
        socket,
        addresses: [memoryAddress],
        spare: otherAddresses(context, memoryAddress),
        connections: context.config.wire.connections,
        log: this.#log,
        ...defined({ cache, budget, saidBytesPerS }),
        ...(settings.mode === 'postcopy' ? { isSwitchedSoon: true } : {}),
        ...defined({ maxBytesPerS: settings.maxBandwidth }),
      },
      signal,
    );
    this.#wire = opened;
    // The time of day may have changed it meanwhile.
    this.limit(settingsNow(context).maxBandwidth);
    this.#mover = context.peer.moverAddress;
    opened.ended.catch((thrown: unknown) => this.#broke(opened, thrown));
    await (await context.guest.session(signal)).letIn?.(socket);
    return { address: `unix:${socket}`, tlsHostname: undefined };
  }

  /** Caps what the wire sends from now on, bytes/s; undefined: no cap. */
  limit(bytesPerS: number | undefined): void {
    this.#wire?.limit(bytesPerS);
  }

  #broke(wire: SourceWire, thrown: unknown): void {
    if (this.#wire !== wire) return;
    const error = toGodwitError(thrown);
    this.#why = error.message;
    this.#log.warn({ error }, 'the wire is broken');
  }

  /** A destination's mover that was replaced will not answer for the session: nobody has to wait until its grace is over. */
  mind(moverAddress: string | undefined): void {
    if (this.#wire === undefined || moverAddress === this.#mover) return;
    this.#mover = moverAddress;
    this.#wire.abort(new Error('another mover works at the destination'));
  }

  /** The stream has ended: waits for what is under way, and journals what the wire did. */
  async end(context: SourceBase): Promise<void> {
    const wire = this.#wire;
    if (wire === undefined) return;
    await wire.close(CLOSE_MS);
    this.#recordFigures(context, wire);
  }

  /** Breaks off what there is. */
  abort(context: SourceBase, why: string): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    this.#recordFigures(context, wire);
    wire.abort(new Error(why));
  }

  #recordFigures(context: SourceBase, wire: SourceWire): void {
    this.#wire = undefined;
    const why = this.#why === undefined ? {} : { why: this.#why.slice(0, 1024) };
    this.#why = undefined;
    context.dispatch({ type: 'wire', figures: wireReport(wire), ...why });
  }
}

/** Its other addresses, with the port on which the destination's mover waits. */
function otherAddresses(context: SourceBase, memoryAddress: string): string[] {
  const { address, addresses = [] } = context.request.peer;
  const all = [address, ...addresses].map((each) =>
    withHost(memoryAddress, splitAddress(each).host),
  );
  return [...new Set(all)].filter((each) => each !== memoryAddress);
}
