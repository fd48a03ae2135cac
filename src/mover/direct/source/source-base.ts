import { systemClock } from '../../../clock.ts';
import type { AgentConfig } from '../../../config.ts';
import type { SourceSession } from '../../../port/direct.ts';
import { GodwitError, godwitError, hasCode } from '../../../errors.ts';
import { withTimetable } from '../../../migration/steering/timetable.ts';
import type { SourceEvent, SourceState } from '../../../migration/direct/source/source-state.ts';
import { defined } from '../../../protocol/defined.ts';
import type { NicNetwork } from '../../../protocol/network.ts';
import {
  DEFAULT_LINK_GRACE_MS,
  type MigrationSettings,
} from '../../../protocol/public/migration.ts';
import type { SourceMoverRequest } from '../../../protocol/mover/request.ts';
import type { LinkMeasure } from '../../../protocol/public/prediction.ts';
import type {
  GuestDescription,
  Preparation,
  StreamSettings,
} from '../../../protocol/peer/migration.ts';
import type { Fencing } from '../../../host/fencing.ts';
import { termsFor } from '../../../host/wire.ts';
import type { SourceGuest } from './guest/guest.ts';
import type { DestinationPeer, PeerApi, Question } from './peer.ts';
import { streamAsked } from './stream/stream-asked.ts';

export interface MigrationRun {
  readonly request: SourceMoverRequest;
  readonly state: () => SourceState;
  readonly dispatch: (event: SourceEvent) => void;
  readonly record: (event: SourceEvent) => Promise<void>;
  /** An earlier mover began the current step, which may be half done. */
  readonly tookOver: () => boolean;
}

export interface MoverParts extends MigrationRun {
  readonly config: AgentConfig;
  readonly dir: string;
  readonly guest: SourceGuest;
  readonly peer: DestinationPeer;
}

export type UndoFacts = Pick<Extract<SourceEvent, { type: 'undid' }>, 'anew' | 'fromDisks'>;

export type LookDependencies = Pick<MoverParts, 'config' | 'state'> & {
  readonly request: Pick<
    SourceMoverRequest,
    'id' | 'request' | 'memoryBytes' | 'measured' | 'link' | 'ownMoves'
  >;
  readonly guest: Pick<SourceGuest, 'inspect' | 'session' | 'mayReachUs' | 'countedBy'>;
  readonly peer: LookPeer;
  readonly connections: {
    learn(
      context: Pick<LookDependencies, 'config' | 'request'>,
      nics: NicNetwork[],
      signal: AbortSignal,
    ): Promise<NicNetwork[]>;
  };
  readonly dataPath: { readonly offered: boolean };
};

export interface LookPeer {
  readonly byRelay: boolean;
  resume(moverAddress: string): void;
  call<T>(id: string, signal: AbortSignal, question: LookQuestion<T>): Promise<T>;
}
export type LookQuestion<T> = (api: Pick<PeerApi, 'storage' | 'assess' | 'known'>) => Promise<T>;

export function askAhead<T>(
  context: LookDependencies,
  signal: AbortSignal,
  question: LookQuestion<T>,
): Promise<T> {
  resumePeer(context);
  return context.peer.call(context.request.id, signal, question);
}

interface AskDependencies {
  readonly request: Pick<SourceMoverRequest, 'id'>;
  readonly state: () => SourceState;
  readonly peer: Pick<DestinationPeer, 'resume' | 'call'>;
}

/** Asks the destination's mover, including one from an earlier process's journal. */
export function ask<T>(
  context: AskDependencies,
  signal: AbortSignal,
  question: Question<T>,
): Promise<T> {
  resumePeer(context);
  return context.peer.call(context.request.id, signal, question);
}

/** Removes the destination's remains of a lost guest. GODWIT_NOT_ARMED if it has the whole guest. */
export async function tearDown(context: AskDependencies, signal: AbortSignal): Promise<void> {
  const body = { epoch: context.state().plan.epoch, lost: true };
  await ask(context, signal, (api) => api.release({ body }, { signal, deadlineMs: 15_000 }));
}

/** After a takeover, only the journal names the destination's mover. */
export function resumePeer(context: {
  readonly state: () => SourceState;
  readonly peer: Pick<DestinationPeer, 'resume'>;
}): void {
  const { moverAddress } = context.state().known;
  if (moverAddress !== undefined) context.peer.resume(moverAddress);
}

/** Silence of a destination until it should be proved off, if the guest is paused, ms. */
const DARK_MS = 45_000;

/** Wait for the destination before the hook is called; both must fit into `wholeMs`. */
export function darkMs(fenceMs: number, wholeMs: number): number {
  return Math.min(DARK_MS, wholeMs - fenceMs);
}

/** Error for a missing answer of the destination, with the reason for no proof. */
export function unproved(thrown: unknown, fencing: Fencing | undefined): unknown {
  if (!(thrown instanceof GodwitError) || fencing === undefined || fencing.off) return thrown;
  const message = `${thrown.message}; ${fencing.why}`;
  return new GodwitError({ ...thrown.toJSON(), message }, { cause: thrown });
}

/** The requested stream, or the one chosen with the path. */
export function streamOf(context: Pick<MoverParts, 'state'>): Omit<StreamSettings, 'tls'> {
  const { plan, known } = context.state();
  return { ...streamAsked(plan.settings), ...known.path?.stream };
}

/** Settings with the current cap for this time of day. */
export function settingsNow({
  config,
  state,
}: Pick<LookDependencies, 'config' | 'state'>): MigrationSettings {
  return withTimetable(state().plan.settings, config.limits.bandwidth, systemClock.wallMs());
}

/** Link from the configuration, or else the agent's measurement. */
export function saidLink({
  config,
  request,
  state,
}: Pick<LookDependencies, 'config' | 'request' | 'state'>):
  | Pick<LinkMeasure, 'rate' | 'how' | 'isLeast' | 'roundTripMs'>
  | undefined {
  const rate = config.wire.rates[state().plan.to];
  return rate === undefined ? request.link : { rate, how: 'configured' };
}

/** Decided when the destination admitted the guest. */
export function goesByWire(context: Pick<LookDependencies, 'state'>): boolean {
  return context.state().known.path?.takes === 'wire';
}

export function preparation(context: Pick<MoverParts, 'config' | 'state'>): Preparation {
  const { plan, known } = context.state();
  const { linkGraceMs = DEFAULT_LINK_GRACE_MS } = plan.settings;
  const { transport, ...stream } = streamOf(context);
  const wire = termsFor(context.config, plan.guest, linkGraceMs);
  return {
    epoch: plan.epoch,
    description: describe(known.description),
    stream:
      transport === undefined ? { ...stream, tls: true } : { ...stream, transport, tls: false },
    ...(goesByWire(context) ? { wire } : {}),
    ...defined({
      places: known.places,
      copies: known.copies,
      bases: known.bases,
      networks: known.networks,
      networkMap: plan.settings.networks,
    }),
  };
}

function describe(description: GuestDescription | undefined): GuestDescription {
  if (description === undefined) throw missing('description');
  return description;
}

/** Internal error: a step ran before the step that it builds on. */
export function missing(what: string): GodwitError {
  return godwitError('GODWIT_INTERNAL', { what: `${what} is not known at this step` });
}

/** Undefined if the source's hypervisor has ended, which is normal after the handover. */
export async function sessionIfThere(
  guest: Pick<SourceGuest, 'session'>,
  signal: AbortSignal,
): Promise<SourceSession | undefined> {
  try {
    return await guest.session(signal);
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) return undefined;
    throw thrown;
  }
}
