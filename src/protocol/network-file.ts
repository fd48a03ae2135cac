import { isIscsi } from './iscsi-url.ts';
import { isNfs } from './nfs-url.ts';
import { isRbd } from './rbd-name.ts';

/** Clients in hypervisors for images that are not files of this host, by QEMU's driver names. */
export type NetworkClient = 'nfs' | 'iscsi' | 'rbd';

/** Undefined for a path of this host. */
export function clientFor(file: string): NetworkClient | undefined {
  if (isNfs(file)) return 'nfs';
  if (isRbd(file)) return 'rbd';
  return isIscsi(file) ? 'iscsi' : undefined;
}

export function isOnNetwork(file: string): boolean {
  return clientFor(file) !== undefined;
}
