import { withDeadline } from '../../deadline.ts';
import type { ManagedDriver, ManagedSession } from '../../drivers/port/managed.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import type { ManagedContext } from './lifecycle.ts';

/** How long one answer may take, where the driver does not say, ms. */
const ANSWER_MS = 20_000;

/** One connection to the manager for all questions; after an error on it the next question opens a new one. */
export function managerConnection(
  driver: ManagedDriver,
  { handle }: ManagedMoverRequest,
): Pick<ManagedContext, 'ask'> & { readonly close: () => Promise<void> } {
  let opened: Promise<ManagedSession> | undefined;
  const drop = async (session: Promise<ManagedSession> | undefined): Promise<void> => {
    if (opened === session) opened = undefined;
    await session?.then((each) => each.close()).catch(() => {});
  };
  const { questionMs = ANSWER_MS } = driver;
  return {
    close: () => drop(opened),
    ask: (question, signal) =>
      withDeadline('an answer of the manager', questionMs, signal, async (inner) => {
        opened ??= driver.openManaged(handle, inner);
        const session = opened;
        try {
          return await question(await session, inner);
        } catch (thrown) {
          await drop(session);
          throw thrown;
        }
      }),
  };
}
