import type { AgentConfig } from '../../config.ts';
import { clientFor } from '../../protocol/network-file.ts';
import { exportsOf, headOn } from './exports.ts';
import { headOfLun, targetsOf } from './luns.ts';

/**
 * First `bytes` of an image that a hypervisor opens with its own client, in any kind of `storage`; rejects if
 * unreadable.
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
