import { Random } from '../../sim/random.ts';
import { chanceOf } from '../../faults/chance.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';
import { EPOCH, type Facts } from '../facts.ts';
import { wordsOf, type Own } from '../generate/known-names.ts';
import { askOf, validAsk, type Asking } from './ask.ts';
import type { Ask, Case, Target } from './case.ts';
import { describedBy } from './description.ts';
import { requestsOf, streamsOf } from './bytes.ts';

/** Which cases there are, and how one is made from the seed and its number alone. */

const KINDS = {
  /** Requests to the agent: each of its routes. */
  agent: 52,
  /** Requests to the mover of a migration of one's own, in any order. */
  mover: 30,
  /** Guests that it describes to that mover. */
  grammar: 8,
  /** Requests to the mover of another host's migration. */
  foreign: 5,
  /** Bytes that are no requests, to the agent and to that mover. */
  http: 4,
  /** Bytes for whoever waits for memory: the session of the wire, and QEMU itself. */
  memory: 1,
} as const;
export type Kind = keyof typeof KINDS;

export const TARGETS: Readonly<Record<Kind, Target>> = {
  agent: 'agent',
  mover: 'mover',
  grammar: 'mover',
  foreign: 'foreign',
  http: 'mover',
  memory: 'mover',
};
/** A case says at most so many things. */
const MAX_ASKS = 5;

export function routesOf(target: Target): string[] {
  return Object.keys(target === 'agent' ? agentContract : peerContract);
}

/** The kind of a case, which needs to be known before what it is about. */
export function kindOf(seed: number, number: number): Kind {
  const kinds = Object.entries(KINDS) as [Kind, number][];
  const all = kinds.reduce((sum, [, share]) => sum + share, 0);
  let left = chanceOf(seed, `kind ${number}`) * all;
  for (const [kind, share] of kinds) {
    left -= share;
    if (left < 0) return kind;
  }
  return 'agent';
}

/** Case `number` of a seed. What it is about may differ from run to run; what it does with it does not. */
export function caseOf(seed: number, number: number, facts: Facts, own: Own): Case {
  const random = new Random(Math.floor(chanceOf(seed, `case ${number}`) * 2 ** 32));
  const kind = kindOf(seed, number);
  const asking: Asking = { random, facts, words: wordsOf(facts, own) };
  const target = TARGETS[kind];
  if (kind === 'grammar') return { number, kind, asks: describing(asking, own) };
  if (kind === 'http') return { number, kind, asks: [], bytes: requestsOf(random) };
  if (kind === 'memory') {
    const asks = [listening(asking, own)];
    return { number, kind, asks, bytes: streamsOf(random) };
  }
  const count = target === 'agent' ? random.whole(1, 2) : random.whole(1, MAX_ASKS);
  const asks = Array.from({ length: count }, () =>
    askOf(target, random.pick(routesOf(target)), asking),
  );
  return { number, kind, asks };
}

/** A guest is described, and taken or refused; then it is to run at once, though nothing of it has come. */
function describing(asking: Asking, own: Own): Ask[] {
  const { random, facts } = asking;
  const reported = describedBy(random, facts, own.guest);
  const about = (route: string): Ask => withDescription(validAsk('mover', route, asking), reported);
  const after = random.pick(['arm', 'commit', 'recover', 'disks', 'finish', 'status']);
  return [
    ...(random.chance(0.3) ? [about('assess')] : []),
    about('prepare'),
    ...(random.chance(0.3) ? [validAsk('mover', after, asking)] : []),
  ];
}

/** A guest is prepared as it should be, so that its memory is waited for: over the wire, or by QEMU itself. */
function listening(asking: Asking, own: Own): Ask {
  const ask = withDescription(validAsk('mover', 'prepare', asking), {
    ...asking.facts.description,
    name: own.guest,
  });
  if (asking.random.chance(0.3)) return ask;
  const wire = { linkGraceMs: 1000, sharing: 'none' };
  return { ...ask, body: JSON.stringify({ ...(JSON.parse(ask.body ?? '{}') as object), wire }) };
}

function withDescription(ask: Ask, reported: unknown): Ask {
  const stream = { mode: 'precopy', streams: 1, compress: 'none', tls: true };
  // Disks and networks that the guest does not have would be refused before anything is built.
  const said = { epoch: EPOCH, stream, description: reported };
  return { ...ask, body: JSON.stringify(said), isForged: false };
}
