import { parseAgentConfig } from '../../../../src/config.ts';
import type { SourceSession } from '../../../../src/port/direct.ts';
import {
  initialSource,
  type StepFacts,
} from '../../../../src/migration/direct/source/source-state.ts';
import type { LookDependencies } from '../../../../src/mover/direct/source/source-base.ts';
import { chooseDataPath } from '../../../../src/mover/direct/source/stream/choose-data-path.ts';
import type { SourceMoverRequest } from '../../../../src/protocol/mover/request.ts';
import type { MigrationSettings } from '../../../../src/protocol/public/migration.ts';
import type { GuestMeasure, LinkMeasure } from '../../../../src/protocol/public/prediction.ts';
import { WIRE_VERSION, type WireOffer } from '../../../../src/protocol/wire.ts';
import '../idle-machine.ts';
import { planned } from '../../../migration/direct/samples.ts';

/** A migration whose data path is to be chosen. */
export const OFFER: WireOffer = { version: WIRE_VERSION, cores: 2, knowsGuest: false };
export const MBIT = 125_000;

export interface PathSetup {
  readonly settings?: Partial<MigrationSettings>;
  readonly known?: StepFacts;
  /** The hosts reach each other through a relay alone. */
  readonly byRelay?: boolean;
  /** The hypervisor may open a socket of this mover. */
  readonly reachable?: boolean;
  /** This host has the wire. */
  readonly offered?: boolean;
  /** Bytes/s to the destination, by the configuration. */
  readonly configured?: number;
  /** What the agent knows of the link. */
  readonly link?: LinkMeasure;
  /** What a plan measured of the guest shortly before. */
  readonly measured?: GuestMeasure | undefined;
  /** What this host's moves to that host told. */
  readonly ownMoves?: SourceMoverRequest['ownMoves'];
  /** How the guest is looked at; absent: nobody can. */
  readonly measure?: SourceSession['measure'];
}

export function partsOf(given: PathSetup): LookDependencies {
  const { settings = {}, known = {}, byRelay = false, reachable = true, offered = true } = given;
  const rates = given.configured === undefined ? {} : { rates: { b: given.configured } };
  const config = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', wire: rates };
  const context: unknown = {
    config: parseAgentConfig('agent.json', JSON.stringify(config)),
    state: () => ({ ...initialSource(planned(settings)).state, known }),
    request: {
      memoryBytes: 1 << 30,
      link: given.link,
      measured: given.measured,
      ownMoves: given.ownMoves,
    },
    guest: {
      mayReachUs: reachable,
      session: () => Promise.resolve({ measure: given.measure }),
    },
    peer: { byRelay },
    dataPath: { offered },
  };
  return context as LookDependencies;
}

/** Chooses it for what the destination offers. */
export const choose = (
  deps: LookDependencies,
  wire: WireOffer | undefined,
  signal: AbortSignal,
): ReturnType<typeof chooseDataPath> =>
  chooseDataPath(deps, { wire, memoryBytes: deps.request.memoryBytes }, signal);
