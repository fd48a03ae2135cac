import { mock } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { godwitError } from '../../../src/errors.ts';
import type { SourceGuest } from '../../../src/mover/direct/source/guest/guest.ts';
import { PLANNED } from '../events.ts';
import { loadShell, type Edit } from './load.ts';

/** What the source's mover makes of a hypervisor whose monitor is out of reach while its process lives. */

/** It waits until it reaches it again, and reports nothing; or it reports that the hypervisor is gone. */
export type Unreachable = 'nothing' | 'lost';

/** As often as it is asked in vain. */
const TRIES = 3;

export async function unreachableMonitor(edit?: Edit): Promise<Unreachable> {
  const { SourceGuest: Guest } = await loadShell<{ SourceGuest: typeof SourceGuest }>(
    'src/mover/direct/source/guest/guest.ts',
    edit,
  );
  const { promise: reported, resolve: report } = Promise.withResolvers<Unreachable>();
  let loses: () => void = () => undefined;
  let asked = 0;
  const session = {
    onEvent: () => undefined,
    onUnreachable: (listener: () => void) => {
      loses = listener;
    },
    close: async () => undefined,
  };
  const driver = {
    name: 'fake',
    openSource: async () => {
      asked += 1;
      if (asked > 1 && asked < 2 + TRIES) {
        const facts = { guest: PLANNED.precopy.guest, reason: 'refused' };
        throw godwitError('GODWIT_MONITOR_UNREACHABLE', facts as never);
      }
      if (asked > 1) report('nothing');
      return session;
    },
  };
  const sleep = mock.method(systemClock, 'sleep', async () => undefined);
  const handle = { driver: 'fake', name: PLANNED.precopy.guest };
  const guest = new Guest(driver as never, handle, PLANNED.precopy.settings, (event) => {
    if (event.type === 'lost') report('lost');
  });
  try {
    await guest.session(AbortSignal.timeout(1000));
    loses();
    return await reported;
  } finally {
    sleep.mock.restore();
    await guest.close();
  }
}
