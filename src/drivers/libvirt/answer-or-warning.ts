import { hasCode } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerWarn } from '../../port/manager-checks.ts';
import { LibvirtRefusal } from './rpc/connection.ts';

/** A daemon may leave a question unanswered. That is a warning, because libvirt itself decides. */

export async function answerOrWarning<T>(
  name: string,
  signal: AbortSignal,
  question: () => Promise<T>,
): Promise<T | Check> {
  try {
    return await question();
  } catch (thrown) {
    signal.throwIfAborted();
    const isUnanswered = thrown instanceof LibvirtRefusal || hasCode(thrown, 'GODWIT_DEADLINE');
    if (isUnanswered) return unanswered(name, thrown.message);
    throw thrown;
  }
}

export function unanswered(name: string, why: string): Check {
  const evidence = `libvirt there does not say: ${why}`;
  const hint = 'libvirt itself refuses once the move has begun; the guest then stays where it is.';
  return managerWarn(name, 'destination', evidence, hint);
}
