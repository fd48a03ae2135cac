import { readFile } from 'node:fs/promises';
import { hasCode } from '../../errors.ts';
import { withDeadline } from '../../deadline.ts';

/** The kernel does not answer while the process changes its memory, and a change may wait for storage. */
const READ_MS = 2000;

/**
 * A text that the kernel makes of the memory of a process. Empty if the process has ended, or if this user may not read it;
 * undefined if the kernel does not answer.
 */
export async function readOfProcess(
  pid: number,
  name: 'maps' | 'cmdline',
  signal: AbortSignal,
): Promise<string | undefined> {
  const file = `/proc/${pid}/${name}`;
  try {
    return await withDeadline(file, READ_MS, signal, () =>
      readFile(file, 'latin1').catch(() => ''),
    );
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_DEADLINE')) return undefined;
    throw thrown;
  }
}
