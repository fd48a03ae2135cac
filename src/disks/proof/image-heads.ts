import type { AgentConfig } from '../../config.ts';
import { clientFor } from '../../protocol/network-file.ts';
import { exportsOf, headOn } from './exports.ts';
import { headOfLun, targetsOf } from './luns.ts';

/**
 * The first `bytes` of what a hypervisor opens with a client of its own, wherever `storage` names it; rejects where they
 * cannot be read.
 */
export function headOf(
  storage: AgentConfig['storage'],
  file: string,
  bytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  switch (clientFor(file)) {
    case 'iscsi':
      return headOfLun(targetsOf(storage), file, bytes, signal);
    case 'rbd':
      return Promise.reject(new Error('Godwit reads nothing of an image of RBD'));
    default:
      return headOn(exportsOf(storage), file, bytes, signal);
  }
}
