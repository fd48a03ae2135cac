import { Resolve } from '../src/agent/resolve/resolve.ts';
import { DestinationMover } from '../src/mover/direct/destination/mover.ts';
import type { Hands } from '../src/mover/direct/destination/silent-source.ts';
import { LIFECYCLE } from '../src/mover/direct/source/lifecycle.ts';
import { refusalOrProof } from '../src/mover/direct/source/guest/permission.ts';
import type { StepContext } from '../src/mover/direct/source/ports.ts';
import { sessionIfThere } from '../src/mover/direct/source/source-base.ts';
import { granted } from '../test/migration/permission/granted.ts';
import type { Method, Mutant } from './mutant.ts';
import type { Deed, Fault, Scenario, When } from './scenario.ts';
import { SimStore } from './store.ts';

/** The four holes of the right to start a guest that an audit found, each put back in its place. */

/** The undo of a cold switchover that asks the destination, and no other host. */
async function startAgainUnasked(context: StepContext, signal: AbortSignal): Promise<void> {
  const { launch } = context.state().known;
  const permission = granted('web1');
  const session = await sessionIfThere(context.hypervisor, signal);
  await refusalOrProof(context, signal);
  if (session === undefined && launch !== undefined) {
    await context.hypervisor.relaunch(launch, permission, signal);
  } else await session?.startAgain?.(60_000, permission, signal);
}

/** A recovery that goes on by the proof in its journal. */
function goOnByOldProof(start: Method): Method {
  return async function startByOldProof(this: unknown, ...given: never[]) {
    await start.call(this, ...given);
    const mover = this as DestinationMover;
    const [tookOver, hasSource] = given as unknown as [boolean, boolean | undefined];
    const { right, hasRun } = mover.state;
    if (!tookOver || hasSource !== false || right !== 'running' || hasRun) return;
    await mover.decide(({ run }: Hands) => run(AbortSignal.timeout(60_000), granted('web1')));
  };
}

/** The destination's word is as good as an operator's. */
function believePeer(): Method {
  return async function takeUp(this: unknown, ...given: never[]) {
    const resolve = this as Resolve;
    const [id, { runAt, by }, , signal] = given as unknown as Parameters<Resolve['takeUp']>;
    const { guest: confirm, inDoubt: answersFor } = await resolve.show(id);
    return resolve.resolve(id, { runAt, confirm, iKnow: true, answersFor }, by, signal);
  };
}

/** A migration whose request cannot be read is not there. */
function overlookDamaged(found: Method): Method {
  return function readable(this: unknown, ...given: never[]) {
    return (this as SimStore).isDamaged ? undefined : found.call(this, ...given);
  };
}

/** A destination of an earlier build: a commit after its source was restarted asks no other host. */
function commitUnasked(commit: Method): Method {
  return function commitAsOrdered(this: unknown, ...[epoch, signal]: never[]) {
    return commit.call(this, ...([epoch, signal] as never[]));
  };
}

const FLEET: Scenario = {
  noise: 1,
  fleet: true,
  mode: 'cold',
  memoryMiB: 16,
  dirtyMiB: 10,
  linkMiB: 1000,
  timeoutMs: 60_000,
  hybridRounds: 2,
  refused: false,
  faults: [],
  calls: [],
};

const at = (ms: number, deed: Deed): Fault => ({ when: { at: 'time', ms }, deed });
const C_RECOVERS: Deed = { kind: 'recover', host: 'c', from: 'a' };
const off = (host: 'a' | 'c', forMs: number): Deed => ({ kind: 'power loss', host, forMs });

/** The source loses its power as its guest has shut down, and is back once the destination has given up. */
function offInSwitchover(nth: number): Fault {
  const moments = [0, 0.5, 1, 2, 5];
  const afterMs = moments[nth % moments.length] ?? 0;
  return { when: { at: 'stream', state: 'stopped', afterMs }, deed: off('a', 300_000) };
}

export const FLEET_MUTANTS: readonly Mutant[] = [
  {
    name: 'ask the destination alone',
    breaks: 'a source that was restarted starts its guest again, and asks no third host',
    puts: [{ target: LIFECYCLE.switchover, method: 'undo', by: () => startAgainUnasked }],
    scenario: (nth) => ({
      ...FLEET,
      noise: nth,
      faults: [offInSwitchover(nth), at(240_000, C_RECOVERS)],
    }),
    shows: /two copies of the guest run/,
  },
  {
    name: 'a proof of an earlier boot',
    breaks: 'a recovery goes on by the proof in its journal, though its host was restarted since',
    puts: [{ target: DestinationMover.prototype, method: 'start', by: goOnByOldProof }],
    scenario: (nth) => ({
      ...FLEET,
      noise: nth,
      mode: 'precopy',
      faults: [
        { when: { at: 'stream', state: 'active', afterMs: 0 }, deed: { kind: 'cancel' } },
        at(5000, off('a', 400_000)),
        at(20_000, C_RECOVERS),
        { when: { at: 'deed', host: 'c', nth, edge: 'after' }, deed: off('c', 120_000) },
        at(60_000, { kind: 'recover', host: 'b', from: 'a' }),
      ],
    }),
    shows: /two copies of the guest run/,
  },
  {
    name: 'believe the peer',
    breaks: 'the source takes its guest back on the word of its destination',
    puts: [{ target: Resolve.prototype, method: 'takeUp', by: believePeer }],
    scenario: (nth) => ({
      ...FLEET,
      noise: nth,
      faults: [
        offInSwitchover(nth),
        at(240_000, C_RECOVERS),
        at(280_000, { kind: 'isolated', host: 'c', forMs: 400_000 }),
        at(420_000, { kind: 'take up' }),
      ],
    }),
    shows: /two copies of the guest run/,
  },
  {
    name: 'an unreadable request is nothing',
    breaks: 'a migration whose request is damaged is shown to no host that recovers its guest',
    // By itself it runs nothing twice any more: the commit that follows asks every host, and finds the recovery.
    puts: [
      { target: SimStore.prototype, method: 'found', by: overlookDamaged },
      { target: DestinationMover.prototype, method: 'commit', by: commitUnasked },
    ],
    scenario: (nth) => {
      const when: When = { at: 'deed', host: 'b', nth, edge: 'after' };
      const deeds: Deed[] = [
        { kind: 'request damaged', host: 'b', forMs: 60_000 },
        { kind: 'kill mover', host: 'b' },
        { kind: 'kill hypervisor', host: 'b' },
        off('a', 300_000),
      ];
      const faults = [...deeds.map((deed) => ({ when, deed })), at(10_000, C_RECOVERS)];
      return { ...FLEET, noise: nth, faults };
    },
    shows: /two copies of the guest run/,
  },
];
