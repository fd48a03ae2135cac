import type { Answer as Judged } from '../../../src/protocol/public/resolve.ts';
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
  return rules.answers(world).every(({ verdict }) => verdict === 'wrong' || verdict === 'waits');
}

/** A safe answer is given by an operator who knows nothing; an answer with a risk by an operator who is right. */
function followed(world: World, { runAt, verdict, proof }: Judged): Move[] {
  if (verdict === 'wrong') return [];
  switch (runAt) {
    case 'source': {
      const { a: bootId } = world.boot;
      if (verdict === 'safe' && proof === 'ask') {
        return [
          ['an operator takes it back to a, and b is asked', source(world, { doing: 'undo' })],
        ];
      }
      const back = { doing: 'undo', right: 'abandoned' } as const;
      if (verdict === 'safe') {
        const word = { bootId, named: [] };
        return [['an operator takes it back to a, as is proved', source(world, { ...back, word })]];
      }
      if (!isNowhere(world)) return [];
      const named = HOSTS.filter((host) => host !== 'a' && !reaches(world, 'a', host));
      const word = { bootId, named };
      return [['an operator takes it back to a', source(world, { ...back, word })]];
    }
    case 'destination': {
      // The epoch is closed.
      if (world.source.right === 'abandoned') return [];
      const dark = STANDBYS.filter((host) => host !== 'b' && !reaches(world, 'a', host));
      const ordered =
        verdict === 'safe' || hasRun(world) ? [] : dark.filter((host) => isFree(world, host));
      const again = { doing: 'commit', right: 'committing', ordered } as const;
      return [['an operator has a send the commit again', source(world, again)]];
    }
    case 'elsewhere':
      return [
        ['an operator gives the copy at a up', source(world, { doing: 'ended', paused: false })],
      ];
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
