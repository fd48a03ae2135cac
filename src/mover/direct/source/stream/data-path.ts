import { rm } from 'node:fs/promises';
import path from 'node:path';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { StepFacts } from '../../../../migration/direct/source/source-state.ts';
import { holdsSwitchover } from '../../../../migration/steering/steering.ts';
import { mayThrottle, strategyOf } from '../../../../migration/steering/strategies.ts';
import type { StreamSetup } from '../../../../port/direct.ts';
import { defined } from '../../../../protocol/defined.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import { splitAddress, withHost } from '../../../../protocol/names.ts';
import type { SourceWire } from '../../../../wire/open.ts';
import { hostCredentials } from '../../../../host/credentials.ts';
import { budgetOf, cacheFor, codecCores, termsFor } from '../../../../host/wire.ts';
import { streamTls } from '../../credentials.ts';
import type { WireOpeners } from '../../../shared/wire-openers.ts';
import { wireReport } from '../../../shared/wire-report.ts';
import type { UnderWay } from './under-way.ts';
import {
  goesByWire,
  missing,
  saidLink,
  settingsNow,
  streamOf,
  type MoverParts,
} from '../source-base.ts';

/** Time for data in flight after the hypervisor has sent everything, ms. */
const CLOSE_MS = 5000;

type Dependencies = Pick<
  MoverParts,
  'config' | 'request' | 'dir' | 'guest' | 'peer' | 'state' | 'dispatch'
> & { readonly underWay: Pick<UnderWay, 'downtimeMs'> };

export interface Target {
  readonly address: string;
  readonly tlsHostname: string | undefined;
}

/** Memory's path out of this host: to the other hypervisor, or to this mover's end of the wire. */
export class SourceDataPath {
  readonly #deps: Dependencies;
  readonly #openers: WireOpeners | undefined;
  readonly #log: Log;
  #wire: SourceWire | undefined;
  /** The destination's mover of this session; another one does not know it. */
  #mover: string | undefined;
  #why: string | undefined;

  constructor(deps: Dependencies, openers: WireOpeners | undefined, log: Log) {
    this.#deps = deps;
    this.#openers = openers;
    this.#log = log;
  }

  get offered(): boolean {
    return this.#openers !== undefined;
  }

  /** A wire session exists, possibly broken. */
  get isOpen(): boolean {
    return this.#wire !== undefined;
  }

  /** The session has no link now, which it repairs by itself. */
  get isCut(): boolean {
    return this.#why === undefined && this.#wire?.measure.cutForMs !== undefined;
  }

  /** The session has a link, so the other mover lives. */
  get hasLink(): boolean {
    return this.isOpen && this.#why === undefined && !this.isCut;
  }

  /** Opens the path and returns the target for memory. Journals and closes an earlier session. */
  async open(facts: StepFacts, signal: AbortSignal): Promise<Target> {
    const { memoryAddress, tlsHostname, wire } = facts;
    if (memoryAddress === undefined) throw missing('memoryAddress');
    if (wire === undefined) {
      const { transport } = this.#deps.state().plan.settings;
      if (transport === undefined || transport === 'tcp')
        return { address: memoryAddress, tlsHostname };
      const address = transport === 'rdma' ? `rdma:${memoryAddress}` : memoryAddress;
      return { address, tlsHostname: undefined };
    }
    this.abort('it is resumed');
    if (this.#openers === undefined) throw missing('the wire');
    const { plan, known } = this.#deps.state();
    const settings = settingsNow(this.#deps);
    const socket = path.join(this.#deps.dir, 'wire.sock');
    // Left by a mover that was killed.
    await rm(socket, { force: true });
    const graceMs = settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS;
    const terms = termsFor(this.#deps.config, plan.guest, graceMs);
    const cache = cacheFor(this.#deps.config, plan.guest, terms, plan.to);
    const budget = budgetOf(this.#deps.config);
    const saidBytesPerS = saidLink(this.#deps)?.rate;
    const opened = await this.#openers.source(
      {
        migration: plan.id,
        epoch: plan.epoch,
        session: wire.session,
        peer: plan.to,
        credentials: hostCredentials(this.#deps.config),
        memoryBytes: known.description?.memoryBytes ?? this.#deps.request.memoryBytes,
        graceMs,
        cores: codecCores(this.#deps.config),
        socket,
        addresses: [memoryAddress],
        spare: otherAddresses(this.#deps, memoryAddress),
        connections: this.#deps.config.wire.connections,
        log: this.#log,
        ...defined({ cache, budget, saidBytesPerS }),
        ...(settings.mode === 'postcopy' ? { isSwitchedSoon: true } : {}),
        ...defined({ maxBytesPerS: settings.maxBandwidth }),
      },
      signal,
    );
    this.#wire = opened;
    // The time of day may have changed the cap.
    this.limit(settingsNow(this.#deps).maxBandwidth);
    this.#mover = this.#deps.peer.moverAddress;
    opened.ended.catch((thrown: unknown) => this.#broke(opened, thrown));
    await (await this.#deps.guest.session(signal)).letIn?.(socket);
    return { address: `unix:${socket}`, tlsHostname: undefined };
  }

  setup(): StreamSetup {
    return streamSetup(this.#deps);
  }

  downtimeMs(): number {
    return this.#deps.underWay.downtimeMs();
  }

  /** Cap of the wire from now on, bytes/s; undefined: none. */
  limit(bytesPerS: number | undefined): void {
    this.#wire?.limit(bytesPerS);
  }

  #broke(wire: SourceWire, thrown: unknown): void {
    if (this.#wire !== wire) return;
    const error = toGodwitError(thrown);
    this.#why = error.message;
    this.#log.warn({ error }, 'the wire is broken');
  }

  /** A replaced mover does not answer for the session, so its grace period is not waited for. */
  mind(moverAddress: string | undefined): void {
    if (this.#wire === undefined || moverAddress === this.#mover) return;
    this.#mover = moverAddress;
    this.#wire.abort(new Error('another mover works at the destination'));
  }

  /** The stream has ended: waits for data in flight, and journals the wire's figures. */
  async end(): Promise<void> {
    const wire = this.#wire;
    if (wire === undefined) return;
    await wire.close(CLOSE_MS);
    this.#recordFigures(wire);
  }

  abort(why: string): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    this.#recordFigures(wire);
    wire.abort(new Error(why));
  }

  #recordFigures(wire: SourceWire): void {
    this.#wire = undefined;
    const why = this.#why === undefined ? {} : { why: this.#why.slice(0, 1024) };
    this.#why = undefined;
    this.#deps.dispatch({ type: 'wire', figures: wireReport(wire), ...why });
  }
}

function otherAddresses({ request }: Dependencies, memoryAddress: string): string[] {
  const { address, addresses = [] } = request.peer;
  const all = [address, ...addresses].map((each) =>
    withHost(memoryAddress, splitAddress(each).host),
  );
  return [...new Set(all)].filter((each) => each !== memoryAddress);
}

export function streamSetup(
  context: Pick<Dependencies, 'config' | 'dir' | 'state' | 'underWay'>,
): StreamSetup {
  const { plan, known } = context.state();
  const { settings, to } = plan;
  const { description } = known;
  const setup = {
    ...streamOf(context),
    maxDowntimeMs: context.underWay.downtimeMs(),
    holdSwitchover: holdsSwitchover(settings, known),
    ...(mayThrottle(strategyOf(settings)) ? { mayThrottle: true } : {}),
    ...(description?.disks === undefined ? {} : { disks: true }),
    ...sharedVolumes(context),
  };
  // The wire has a separate cap and TLS.
  if (goesByWire(context)) return { ...setup, tls: false };
  const { maxBandwidth } = settingsNow(context);
  return {
    ...setup,
    ...defined({ maxBandwidth }),
    ...(setup.transport === undefined
      ? { tls: true, credentials: streamTls(context.config, context.dir, to) }
      : { tls: false }),
  };
}

/** Places at the destination that are not disk images. */
function sharedVolumes({ state }: Pick<MoverParts, 'state'>): Pick<StreamSetup, 'shared'> {
  const { places = [], description } = state().known;
  if (description?.disks !== undefined || places.length === 0) return {};
  return { shared: places.map(({ node }) => node) };
}
