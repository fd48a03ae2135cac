import { godwitError } from '../src/errors.ts';
import { DestinationMover } from '../src/mover/destination/mover.ts';
import { Journal } from '../src/mover/journal.ts';
import { DO } from '../src/mover/source/handlers.ts';
import { UNDO } from '../src/mover/source/undo.ts';
import { Watch } from '../src/mover/source/watch.ts';

/** The movers broken on purpose, each in one place: what finds nothing may be blind. */
export interface Mutant {
  readonly name: string;
  readonly breaks: string;
  readonly puts: readonly Put[];
}

/** Another function in the place of the real one. */
export interface Put {
  readonly target: object;
  readonly method: string;
  readonly by: (real: Method) => Method;
}

export type Method = (this: unknown, ...given: never[]) => unknown;

interface GuestParts {
  readonly guest: { session(signal: AbortSignal): Promise<Session> };
}
interface Session {
  cancel(signal: AbortSignal): Promise<unknown>;
  resumeGuest(signal: AbortSignal): Promise<void>;
}

/** Takes the guest back without asking. */
async function seize({ guest }: GuestParts, signal: AbortSignal): Promise<void> {
  const session = await guest.session(signal);
  await session.cancel(signal);
  await session.resumeGuest(signal);
}

/** Waits 3 s for commit's answer, and says then that the guest never ran there. */
function impatient(commit: Method): Method {
  return async function impatientCommit(...given: never[]) {
    const silence = new Promise((_resolve, reject) => {
      const facts = { host: 'b', guest: 'web1', epoch: 1, reason: 'there is no answer' };
      setTimeout(() => reject(godwitError('GODWIT_NOT_ARMED', facts)), 3000);
    });
    return Promise.race([commit(...given), silence]);
  };
}

function early(onHypervisor: Method): Method {
  return function hearEarly(this: unknown, event: { readonly type: string }) {
    const told = event.type === 'device' ? { type: 'completed' } : event;
    return onHypervisor.call(this, told as never);
  };
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'ignore refused',
    breaks: 'the destination says that it has refused, and takes a commit all the same',
    puts: [{ target: DestinationMover.prototype, method: 'refuse', by: () => async () => {} }],
  },
  {
    name: 'resume on timeout',
    breaks: 'the source takes silence after its commit for a refusal, and takes the guest back',
    puts: [
      { target: DO, method: 'commit', by: impatient },
      { target: UNDO, method: 'switchover', by: () => seize as Method },
    ],
  },
  {
    name: 'commit before completed',
    breaks: 'the source takes `device` for the end of the stream',
    puts: [{ target: Watch.prototype, method: 'onHypervisor', by: early }],
  },
  {
    name: 'drop the fsync',
    breaks: 'nobody waits for a record to lie on the disk',
    puts: [{ target: Journal.prototype, method: 'settle', by: () => async () => {} }],
  },
  {
    name: 'leave the source behind',
    breaks: 'the source’s hypervisor is not ended',
    puts: [{ target: DO, method: 'retire', by: () => async () => ({}) }],
  },
  {
    name: 'leave the destination behind',
    breaks: 'what the destination has built is not taken down',
    puts: [{ target: DestinationMover.prototype, method: 'release', by: () => async () => {} }],
  },
];
