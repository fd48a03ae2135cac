import type { BootTime } from '../../../src/migration/boot-time.ts';
import { answerFrom, type HostAnswer } from '../../../src/migration/permission/host-answer.ts';
import { judgeStart, type Claim } from '../../../src/migration/permission/permission.ts';
import type { Rules } from './rules.ts';
import {
  HOSTS,
  SOUGHT,
  bootName,
  reaches,
  sightingAt,
  type Answer,
  type GatheredAnswers,
  type Host,
  type World,
} from './world.ts';

/** One host's question whether it may start the guest, and its judgement of the answers. */
export interface Asking {
  readonly host: Host;
  /** The migration or recovery that asks. */
  readonly id: string;
  readonly claim: Claim;
  /** The other side, which is asked in its own way: by a call, or by the fencing hook. */
  readonly counterpart: Host;
}

export function hostsInDoubt(world: World, asking: Asking, rules: Rules): readonly string[] {
  return rules.inDoubt(questionOf(world, asking));
}

/** The answers of all hosts in doubt except the counterpart. */
export function gather(world: World, asking: Asking, rules: Rules): Partial<Record<Host, Answer>> {
  const { host, id, counterpart } = asking;
  const doubt = hostsInDoubt(world, asking, rules);
  const asked = HOSTS.filter((other) => other !== counterpart && doubt.includes(other));
  return Object.fromEntries(
    asked.map((other) => [
      other,
      reaches(world, host, other) ? seenAt(world, host, other, id, rules) : rules.silence,
    ]),
  );
}

export function seenAt(world: World, asker: Host, host: Host, id: string, rules: Rules): Answer {
  const { leavesOut } = rules;
  const seen = sightingAt(world, host, { id, asker, leavesOut });
  const isLost = host === 'b' && world.destination.damaged && !rules.keepsDamaged;
  // Its hypervisor is cleared away as a leftover, and nothing is listed.
  const shown = isLost ? { ...seen, moves: [], copies: [] } : seen;
  return answerFrom(shown, { ...SOUGHT, id }).is;
}

export function isGranted(
  world: World,
  asking: Asking,
  gathered: GatheredAnswers,
  rules: Rules,
): boolean {
  const question = questionOf(world, asking);
  const { now, fleet } = question;
  const doubt = hostsInDoubt(world, asking, rules);
  const answers = new Map<string, HostAnswer>();
  // A mutant asks fewer hosts than the product's judgement needs: the others then count as heard.
  for (const other of fleet) {
    const is = gathered[other];
    if (is !== undefined) answers.set(other, answerOf(is, now));
    else if (!doubt.includes(other)) answers.set(other, { is: 'without' });
  }
  return judgeStart({ ...question, answers }).kind === 'granted';
}

function questionOf(world: World, { host, claim, counterpart }: Asking) {
  const fleet = HOSTS.filter((each) => each !== host);
  const now = { bootId: bootName(world.boot[host]), uptimeMs: 0 };
  return { guest: SOUGHT.guest, now, claim, counterpart, fleet };
}

function answerOf(is: Answer, at: BootTime): HostAnswer {
  switch (is) {
    case 'without':
      return { is };
    case 'off':
    case 'named':
      return { is, by: 'it', at };
    case 'has':
    case 'silent':
      return { is, why: 'it is so' };
    case 'may-have':
      return { is, why: 'it is so', doubts: [] };
  }
}
