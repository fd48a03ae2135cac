import { judge } from '../../../src/migration/direct/resolution.ts';
import { hostsInDoubt } from '../../../src/migration/permission/permission.ts';
import type { Answer, Recovery, World } from './world.ts';
import { HOSTS, MIGRATION, SOUGHT, reaches, sightingAt } from './world.ts';

/** What the product does, where a mutant does something else. */
export interface Rules {
  readonly inDoubt: typeof hostsInDoubt;
  /** A recovery that was not carried out before its host was restarted is given up. */
  readonly isVoid: (recovery: Recovery, boot: number) => boolean;
  /** Whether the source follows a take-up by a host with b's certificate, which claims that b has refused. */
  readonly followsTakeUp: (world: World) => boolean;
  /** A migration whose request cannot be read stays on its host's list. */
  readonly keepsDamaged: boolean;
  /** A host that does not answer. */
  readonly silence: Answer;
}

export const PRODUCT: Rules = {
  inDoubt: hostsInDoubt,
  isVoid: ({ armedIn }, boot) => armedIn !== boot,
  followsTakeUp: (world) => verdictOnSource(world) === 'safe',
  keepsDamaged: true,
  silence: 'silent',
};

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
    name: 'silence is empty',
    breaks: 'a host that does not answer counts as one without the guest',
    rules: { ...PRODUCT, silence: 'without' },
  },
];

/** How the product judges `resolve --at source`, with b claiming that it has refused and never ran the guest. */
function verdictOnSource(world: World): string | undefined {
  const view = {
    id: MIGRATION,
    guest: SOUGHT.guest,
    epoch: 1,
    phase: 'held',
    postcopy: false,
    unsure: false,
    moverAlive: false,
    complete: true,
  } as const;
  const { source } = world;
  const others = HOSTS.filter((host) => host !== 'a' && host !== 'b');
  const answers = judge({
    guest: SOUGHT.guest,
    from: 'a',
    to: 'b',
    source: {
      ...view,
      host: 'a',
      side: 'source',
      right: source.right,
      hypervisor: source.paused ? 'handed-over' : 'gone',
    },
    destination: {
      ...view,
      host: 'b',
      side: 'destination',
      phase: 'failed',
      right: 'refused',
      hypervisor: 'none',
      hasRun: false,
    },
    fleet: {
      id: MIGRATION,
      since: SOUGHT.since,
      uuid: SOUGHT.uuid,
      sightings: others
        .filter((host) => reaches(world, 'a', host))
        .map((host) => sightingAt(world, host, MIGRATION)),
      unasked: others
        .filter((host) => !reaches(world, 'a', host))
        .map((host) => ({ host, why: 'dark' })),
    },
  });
  return answers.find(({ runAt }) => runAt === 'source')?.verdict;
}
