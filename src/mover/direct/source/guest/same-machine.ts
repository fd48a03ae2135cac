import { toGodwitError } from '../../../../errors.ts';
import { warn } from '../../../../migration/preflight/check.ts';
import type { Check } from '../../../../protocol/public/migration.ts';
import type { SourceBase } from '../source-base.ts';

/**
 * Begins to read the machine as it runs here. The result is a function of the destination's machine that resolves to
 * the check `same-machine`; to none where the driver does not know machines.
 */
export function sameMachine(
  { guest, state }: SourceBase,
  signal: AbortSignal,
): (there: unknown) => Promise<Check[]> {
  const here = guest.machine(signal);
  here.catch(() => {});
  return async (there) => {
    const { to } = state().plan;
    try {
      const compare = await here;
      if (compare === undefined) return [];
      if (there === undefined) {
        return [unknown(`${to} did not report what it has made`, `Upgrade Godwit on ${to}.`)];
      }
      return [compare(there, to)];
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message } = toGodwitError(thrown);
      if (code === 'GODWIT_PROTOCOL_INVALID' || code === 'GODWIT_HYPERVISOR_LOST') throw thrown;
      return [unknown(message, 'Move it again once both hosts have less to do.')];
    }
  };
}

function unknown(why: string, hint: string): Check {
  const evidence = `it was not found out whether it is the same machine there: ${why}`;
  return warn('same-machine', evidence, hint, 'both');
}
