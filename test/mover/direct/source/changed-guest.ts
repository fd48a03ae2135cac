import type { Clock } from '../../../../src/clock.ts';
import { silentLog } from '../../../../src/log.ts';
import type { HypervisorStatus } from '../../../../src/migration/direct/hypervisor.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import type { PortNow } from '../../../../src/migration/guest-changes/ports.ts';
import type { GuestSnapshot } from '../../../../src/migration/guest-changes/snapshot.ts';
import { GuestChanges } from '../../../../src/mover/direct/source/guest/guest-changes.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { turn } from './answers.ts';

type Dependencies = ConstructorParameters<typeof GuestChanges>[0];

export const BEFORE: GuestSnapshot = {
  parts: [
    { kind: 'disk', name: 'disk0', value: 'raw:/srv/g1.img' },
    { kind: 'size', name: 'disk0', value: '1024' },
  ],
};

interface ChangingGuest {
  now: GuestSnapshot;
  status: HypervisorStatus;
  change: () => void;
  reads: number;
}

/** A guest that the test changes, compared by a mover whose time passes when the test says so. */
export function stage(
  first: Partial<SourceState> = {},
  more: (guest: ChangingGuest) => object = () => ({}),
) {
  const guest: ChangingGuest = {
    now: BEFORE,
    status: { run: 'running', stream: 'none' },
    change: () => undefined,
    reads: 0,
  };
  const ports = {
    now: [] as PortNow[],
    problem: undefined as Error | undefined,
    ahead: 0,
  };
  const looks = {
    ahead: () => void (ports.ahead += 1),
    look: async () => {
      if (ports.problem !== undefined) throw ports.problem;
      return ports.now;
    },
  };
  let state: SourceState = {
    ...initialSource(planned()).state,
    doing: { kind: 'do', step: 'memory' },
    known: { snapshot: BEFORE },
    ...first,
  };
  const slept: number[] = [];
  let wake: (() => void) | undefined;
  const clock: Clock = {
    wallMs: () => 0,
    monotonicMs: () => 0,
    sleep: (ms, within) =>
      new Promise((resolve, reject) => {
        slept.push(ms);
        wake = resolve;
        within?.addEventListener('abort', () => reject(within.reason as Error), { once: true });
      }),
  };
  const context: unknown = {
    state: () => state,
    guest: {
      status: async () => guest.status,
      session: async () => ({
        snapshot: async () => {
          guest.reads += 1;
          return guest.now;
        },
        onChange: (listener: () => void) => {
          guest.change = listener;
          return () => undefined;
        },
      }),
    },
    ...more(guest),
  };
  return {
    changes: new GuestChanges(context as Dependencies, clock, silentLog, looks),
    guest,
    ports,
    slept,
    set: (next: Partial<SourceState>) => void (state = { ...state, ...next }),
    /** The time between two looks is over. */
    later: async () => {
      wake?.();
      for (let turns = 0; turns < 10; turns++) await turn();
    },
  };
}
