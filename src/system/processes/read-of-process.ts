import { readFile } from 'node:fs/promises';
import { hasCode } from '../../errors.ts';
import { withDeadline } from '../../deadline.ts';

/** The kernel blocks while the process changes its mappings, which may wait for storage. */
const READ_MS = 2000;

/**
 * A text generated from a process's memory. Empty if the process has ended, or without permission; undefined if the
 * kernel does not answer.
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
