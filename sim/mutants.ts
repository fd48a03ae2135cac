import { godwitError } from '../src/errors.ts';
import { DestinationMover } from '../src/mover/direct/destination/mover.ts';
import { Journal } from '../src/host/journal/journal.ts';
import { LIFECYCLE } from '../src/mover/direct/source/lifecycle.ts';
import { Watch } from '../src/mover/direct/source/watch.ts';
import type { Method, Mutant } from './mutant.ts';
import { FLEET_MUTANTS } from './fleet-mutants.ts';
import { drawScenario, type Deed, type Scenario } from './scenario.ts';
import type { StartPermission } from '../src/migration/permission/permission.ts';
import { granted } from '../test/migration/permission/granted.ts';

interface GuestContext {
  readonly hypervisor: { session(signal: AbortSignal): Promise<Session> };
}
interface Session {
  cancel(signal: AbortSignal): Promise<unknown>;
  resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void>;
}

/** Takes the guest back without asking. */
async function seize({ hypervisor }: GuestContext, signal: AbortSignal): Promise<void> {
  const session = await hypervisor.session(signal);
  await session.cancel(signal);
  await session.resumeGuest(granted('web1'), signal);
}

/** Waits a second for commit's answer, and says then that the guest never ran there. */
function impatient(commit: Method): Method {
  return async function impatientCommit(...given: never[]) {
    const silence = new Promise((_resolve, reject) => {
      const facts = { host: 'b', guest: 'web1', epoch: 1, reason: 'there is no answer' };
      setTimeout(() => reject(godwitError('GODWIT_NOT_ARMED', facts)), 1000);
    });
    return Promise.race([commit(...given), silence]);
  };
}

function early(onHypervisor: Method): Method {
  return function hearEarly(this: unknown, event: { readonly type: string }) {
    const reported = event.type === 'device' ? { type: 'completed' } : event;
    return onHypervisor.call(this, reported as never);
  };
}

/** Pre-copy that converges at once, with faults from the moment when its source has handed everything over. */
function atTheEnd(nth: number, ...deeds: Deed[]): Scenario {
  const moments = [0, 0.4, 0.8, 1.2, 2];
  const afterMs = moments[nth % moments.length] ?? 0;
  const when = { at: 'stream', state: 'completed', afterMs } as const;
  return {
    noise: nth,
    mode: 'precopy',
    memoryMiB: 16,
    dirtyMiB: 10,
    linkMiB: 1000,
    timeoutMs: 60_000,
    hybridRounds: 2,
    refused: false,
    faults: deeds.map((deed) => ({ when, deed })),
    calls: [],
  };
}

const TWICE = /two copies of the guest run|runs the guest again/;
const SLOW: Deed = { kind: 'bad link', forMs: 20_000 };
const DEAF: Deed = { kind: 'black hole', ways: 'to a', forMs: 9000 };
const OFF: Deed = { kind: 'power loss', host: 'b', forMs: 5000 };

/** A source that gives up commit early and asks for the refusal: no danger, as long as a refusal binds. */
export const IMPATIENT: Mutant = {
  name: 'impatience',
  breaks:
    'the source takes silence after its commit for a refusal, and asks for the destination’s refusal',
  puts: [{ target: LIFECYCLE.commit, method: 'do', by: impatient }],
  scenario: (nth) => atTheEnd(nth, SLOW),
  shows: /held/,
};

export const MUTANTS: readonly Mutant[] = [
  ...FLEET_MUTANTS,
  {
    name: 'ignore refused',
    breaks: 'an impatient source, and a destination that takes a commit after it has refused',
    puts: [
      ...IMPATIENT.puts,
      { target: DestinationMover.prototype, method: 'refuse', by: () => async () => {} },
    ],
    scenario: (nth) => atTheEnd(nth, SLOW),
    shows: TWICE,
  },
  {
    name: 'resume on timeout',
    breaks: 'the source takes silence after its commit for a refusal, and takes the guest back',
    puts: [...IMPATIENT.puts, { target: LIFECYCLE.switchover, method: 'undo', by: () => seize }],
    scenario: (nth) => atTheEnd(nth, DEAF),
    shows: TWICE,
  },
  {
    name: 'drop the fsync',
    breaks: 'nobody waits for a record to lie on the disk',
    puts: [{ target: Journal.prototype, method: 'settle', by: () => async () => {} }],
    scenario: (nth) => atTheEnd(nth, DEAF, OFF),
    shows: TWICE,
  },
  {
    name: 'commit before completed',
    breaks: 'the source takes `device` for the end of the stream',
    puts: [{ target: Watch.prototype, method: 'onHypervisor', by: early }],
    scenario: drawScenario,
    shows: /held/,
  },
  {
    name: 'leave the source behind',
    breaks: 'the source’s hypervisor is not ended',
    puts: [{ target: LIFECYCLE.retire, method: 'do', by: () => async () => ({}) }],
    scenario: drawScenario,
    shows: /left behind/,
  },
  {
    name: 'leave the destination behind',
    breaks: 'what the destination has built is not taken down, and no silence makes it look round',
    puts: [
      { target: DestinationMover.prototype, method: 'release', by: () => async () => {} },
      { target: DestinationMover.prototype, method: 'start', by: () => async () => {} },
    ],
    scenario: drawScenario,
    shows: /something still works on it/,
  },
];
