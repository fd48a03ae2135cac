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
  return clientFor(file) === 'iscsi'
    ? headOfLun(targetsOf(storage), file, bytes, signal)
    : headOn(exportsOf(storage), file, bytes, signal);
}
