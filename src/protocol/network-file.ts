import { isIscsi } from './iscsi-url.ts';
import { isNfs } from './nfs-url.ts';
import { isRbd } from './rbd-name.ts';

/** What hypervisors open with a client of their own: no file of this host. The client, by QEMU's name of its driver. */
export type NetworkClient = 'nfs' | 'iscsi' | 'rbd';

/** Undefined: it is a path of this host. */
export function clientFor(file: string): NetworkClient | undefined {
  if (isNfs(file)) return 'nfs';
  if (isRbd(file)) return 'rbd';
  return isIscsi(file) ? 'iscsi' : undefined;
}

export function isOnNetwork(file: string): boolean {
  return clientFor(file) !== undefined;
}
