import { judge } from '../../../src/migration/direct/operator/resolution.ts';
import type { Answer as Judged } from '../../../src/protocol/public/resolve.ts';
import { hostsInDoubt } from '../../../src/migration/permission/permission.ts';
import { partnerOnly, type Answer, type LeavesOut, type Recovery, type World } from './world.ts';
import { claimOfTheft, sidesOf } from './views.ts';

/** What the product does, where a mutant does something else. */
export interface Rules {
  readonly inDoubt: typeof hostsInDoubt;
  /** A recovery that was not carried out before its host was restarted is given up. */
  readonly isVoid: (recovery: Recovery, boot: number) => boolean;
  /** A mover that takes a recovery over does not run the guest on a proof that has become old. */
  readonly provesAnew: boolean;
  /** Whether the source follows a take-up by a host with b's certificate, which claims that b has refused. */
  readonly followsTakeUp: (world: World) => boolean;
  /** A migration whose request cannot be read stays on its host's list. */
  readonly keepsDamaged: boolean;
  /** A source that was off asks the destination that has refused for a recovery of its own, too. */
  readonly asksRefuser: boolean;
  /** A host that does not answer. */
  readonly silence: Answer;
  /** The answers to a held migration, as `resolve` shows them. */
  readonly answers: (world: World) => readonly Judged[];
  /** After a restart of its source or an operator's order, a commit has the destination ask every host. */
  readonly commitAsks: boolean;
  readonly leavesOut: LeavesOut;
}

export const PRODUCT: Rules = {
  inDoubt: hostsInDoubt,
  isVoid: ({ armedIn }, boot) => armedIn !== boot,
  provesAnew: true,
  followsTakeUp: (world) =>
    judge(claimOfTheft(world, partnerOnly)).find(({ runAt }) => runAt === 'source')?.verdict ===
    'safe',
  keepsDamaged: true,
  asksRefuser: true,
  silence: 'silent',
  answers: (world) => judge(sidesOf(world, partnerOnly)),
  commitAsks: true,
  leavesOut: partnerOnly,
};

/** `leavesOut` for permissions and for `resolve`. */
function hiding(leavesOut: LeavesOut): Pick<Rules, 'leavesOut' | 'answers'> {
  return { leavesOut, answers: (world) => judge(sidesOf(world, leavesOut)) };
}

function isWholeThere({ destination: { built, right } }: World): boolean {
  return built && right === 'armed';
}

export interface Mutant {
  readonly name: string;
  readonly breaks: string;
  readonly rules: Rules;
}

/** The holes that an audit found, put back one by one. */
export const THIRD_HOST_MUTANTS: readonly Mutant[] = [
  {
    name: 'ask the destination alone',
    breaks: 'a source that was restarted starts its guest again without asking third hosts',
    rules: {
      ...PRODUCT,
      inDoubt: (question) =>
        question.claim.kind === 'take-back' ? [question.counterpart] : hostsInDoubt(question),
    },
  },
  {
    name: 'a proof of an earlier boot',
    breaks: 'a recovery that was proved before its host was restarted is carried out after it',
    rules: { ...PRODUCT, isVoid: () => false },
  },
  {
    name: 'an old proof',
    breaks: 'a recovery is carried out on its proof, however long ago its host was proved off',
    rules: { ...PRODUCT, provesAnew: false },
  },
  {
    name: 'believe the peer',
    breaks: 'the source takes its guest back on the word of the destination alone',
    rules: { ...PRODUCT, followsTakeUp: () => true },
  },
  {
    name: 'an unreadable request is nothing',
    breaks: 'a migration whose request is damaged is not shown to a host that recovers its guest',
    rules: { ...PRODUCT, keepsDamaged: false },
  },
  {
    name: 'a refusal is an empty host',
    breaks:
      'a source that was restarted starts its guest beside the one that its destination recovered',
    rules: { ...PRODUCT, asksRefuser: false },
  },
  {
    name: 'silence is empty',
    breaks: 'a host that does not answer counts as one without the guest',
    rules: { ...PRODUCT, silence: 'without' },
  },
  {
    name: 'source or destination',
    breaks: 'a held migration whose guest a third host runs has no answer that is accepted',
    rules: {
      ...PRODUCT,
      answers: (world) => PRODUCT.answers(world).filter(({ runAt }) => runAt !== 'elsewhere'),
    },
  },
  {
    name: 'an id is a proof',
    breaks:
      'a host leaves its side of a migration out of its answer to a recovery that has the id of that migration',
    rules: { ...PRODUCT, leavesOut: (host) => host === 'b' },
  },
  {
    name: 'a recovery has a partner',
    breaks:
      'a third host leaves its recovery out of its answer to the source of a migration of the same id',
    rules: { ...PRODUCT, ...hiding((host, asker) => asker === 'a' && host !== 'd') },
  },
  {
    name: 'safe beside a third host',
    breaks:
      'resolve calls the destination safe while a third host runs the guest, and no host is asked again',
    rules: {
      ...PRODUCT,
      // A second guard, taken away as well: the destination would ask the third host, and hold.
      commitAsks: false,
      answers: (world) =>
        PRODUCT.answers(world).map((answer) =>
          answer.runAt === 'destination' && isWholeThere(world)
            ? { ...answer, verdict: 'safe', proof: 'ask' }
            : answer,
        ),
    },
  },
];
