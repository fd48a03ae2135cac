import type { Answer as Judged } from '../../../src/protocol/public/resolve.ts';
import { onResolved } from '../../../src/migration/direct/source/resolve.ts';
import {
  initialSource,
  type SourceState,
} from '../../../src/migration/direct/source/source-state.ts';
import { planned } from '../../migration/direct/samples.ts';
import type { Rules } from './rules.ts';
import {
  HOSTS,
  STANDBYS,
  reaches,
  running,
  source,
  type Host,
  type Move,
  type World,
} from './world.ts';

/** What ends a held migration: an answer of `resolve`, or a host with b's certificate that lies. */
export function resolving(world: World, rules: Rules): Move[] {
  const moves = rules.answers(world).flatMap((answer) => followed(world, answer));
  // A destination that lies about the copy that it runs itself cannot be found out: it has the guest.
  if (world.source.paused && !world.runs.includes('b') && rules.followsTakeUp(world)) {
    const back = { doing: 'ended', right: 'abandoned', paused: false } as const;
    moves.push([
      'a host with the certificate of b has a take it back',
      running(source(world, back), 'a'),
    ]);
  }
  return moves;
}

/** No answer of `resolve` leads on from a held migration at a host that is up. */
export function isDeadEnd(world: World, rules: Rules): boolean {
  if (!world.up.a || world.source.doing !== 'held') return false;
  return rules.answers(world).every((answer) => {
    const isOffered = answer.verdict !== 'wrong' && answer.verdict !== 'waits';
    return !isOffered || afterOrder(world, answer) === undefined;
  });
}

const HELD: SourceState = {
  ...initialSource(planned()).state,
  doing: { kind: 'end', outcome: 'held' },
  via: 'precopy',
  stream: 'done',
};

/** What the source does by the product's own handler of the order; undefined if the handler refuses the order. */
function afterOrder(
  { source: at }: World,
  { runAt, verdict, proof }: Judged,
): Pick<World['source'], 'doing' | 'right'> | undefined {
  const held: SourceState = { ...HELD, right: at.right };
  const isSafe = verdict === 'safe' && proof !== 'none';
  const { state } = onResolved(held, {
    type: 'resolved',
    runAt,
    proof: isSafe ? proof : 'operator',
    by: 'ann',
    here: at.paused ? 'handed-over' : 'gone',
  });
  const { doing, right } = state;
  if (doing.kind === 'undo') return { doing: 'undo', right };
  if (doing.kind === 'do' && doing.step === 'commit') return { doing: 'commit', right };
  return doing.kind === 'give-up' ? { doing: 'ended', right } : undefined;
}

/** A safe answer is given by an operator who knows nothing; an answer with a risk by an operator who is right. */
function followed(world: World, answer: Judged): Move[] {
  const { runAt, verdict, proof } = answer;
  const next = verdict === 'wrong' ? undefined : afterOrder(world, answer);
  if (next === undefined) return [];
  switch (runAt) {
    case 'source': {
      const { a: bootId } = world.boot;
      if (verdict === 'safe' && proof === 'ask') {
        return [['an operator takes it back to a, and b is asked', source(world, next)]];
      }
      if (verdict === 'safe') {
        const word = { bootId, named: [] };
        return [['an operator takes it back to a, as is proved', source(world, { ...next, word })]];
      }
      if (!isNowhere(world)) return [];
      const named = HOSTS.filter((host) => host !== 'a' && !reaches(world, 'a', host));
      return [
        ['an operator takes it back to a', source(world, { ...next, word: { bootId, named } })],
      ];
    }
    case 'destination': {
      const dark = STANDBYS.filter((host) => host !== 'b' && !reaches(world, 'a', host));
      const isSure = verdict !== 'safe' && !hasRun(world);
      const ordered = isSure ? dark.filter((host) => isFree(world, host)) : [];
      return [['an operator has a send the commit again', source(world, { ...next, ordered })]];
    }
    case 'elsewhere':
      return [['an operator gives the copy at a up', source(world, { ...next, paused: false })]];
  }
}

/** It ran nowhere else, and every host that cannot answer is off or has no part of it. */
function isNowhere(world: World): boolean {
  return world.runs.length === 0 && HOSTS.every((host) => isFree(world, host)) && !hasRun(world);
}

function isFree(world: World, host: Host): boolean {
  if (world.runs.includes(host)) return false;
  if (host === 'b') return world.destination.ended || !world.up.b;
  return (
    host === 'a' || ['none', 'ended'].includes(world.recoveries[host].stage) || !world.up[host]
  );
}

function hasRun({ destination: there, recoveries }: World): boolean {
  return (
    there.hasRun ||
    there.right === 'running' ||
    STANDBYS.some((host) => recoveries[host].stage === 'ran')
  );
}
