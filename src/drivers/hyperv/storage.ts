import { win32 } from 'node:path';
import { godwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { GuestWhole, HostFacts } from './answers.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';
import { impossible, versionCheck } from './check.ts';

/** Moves a guest's storage to another folder (`--datastore`), alone or with the guest. Pure. */

/** On a drive or a share; device paths (\\.\) are not folders. */
const WHOLE_PATH = /^([A-Za-z]:\\|\\\\(?![.?]\\)[^\\]+\\[^\\])/;

type Order = Pick<ManagedOrder, 'guest' | 'from' | 'to' | 'datastore'>;

/** The guest stays on its host. */
export function isStorageAlone({ from, to, datastore }: Omit<Order, 'guest'>): boolean {
  return from === to && datastore !== undefined;
}

/** Canonical form, because Windows accepts several spellings of a folder. */
export function windowsFolder(folder: string): string {
  const plain = folder.replace(/^\\\\\?\\(?:UNC\\)?/i, (prefix) =>
    prefix.length > 4 ? '\\\\' : '',
  );
  const whole = win32.normalize(plain);
  return win32.parse(whole).root === whole ? whole : whole.replace(/\\$/, '');
}

/** All its files are below that folder, where a move puts them. */
export function isStoredIn(folder: string, { guest, disks, folder: own }: GuestWhole): boolean {
  // Windows folder names are not case-sensitive.
  const plain = (text: string): string => windowsFolder(text).toLowerCase();
  const below = win32.join(plain(folder), guest.id.toLowerCase());
  const files = disks.filter(({ physical }) => !physical).map(({ path }) => path);
  return [...files, own].every((each) => `${plain(each)}\\`.startsWith(`${below}\\`));
}

/** `--datastore` must be a complete Windows path. */
export function folderChecks({ guest, to, datastore }: Order): Check[] {
  if (datastore === undefined || WHOLE_PATH.test(windowsFolder(datastore))) return [];
  const reason = `${datastore} is no folder of Windows with its whole path`;
  const hint = String.raw`Name one as D:\VMs or \\server\share\VMs.`;
  return [managerRefusal('disks', 'destination', impossible({ guest, to }, reason, hint))];
}

/** Checks of a storage-only move, which Compare-VM does not support. */
export function storageChecks(order: Order, found: GuestWhole, host: HostFacts): Check[] {
  const { guest, to, datastore = '' } = order;
  const unknown = versionCheck('source', to, host);
  return [
    ...(unknown.length > 0 ? unknown : [managerPass('manager', 'both', `Windows ${host.version}`)]),
    ...folderChecks(order),
    ...clusterChecks(order, found),
    limitCheck(to, host),
    ...physicalChecks(guest, found),
    ...(isStoredIn(datastore, found) ? [stays(order)] : []),
  ];
}

/** A clustered role keeps its storage. */
export function clusterChecks(order: Order, { guest }: GuestWhole): Check[] {
  if (!guest.clustered) return [];
  const reason = 'it is a role of a cluster, whose configuration Godwit does not change';
  const hint = 'Move its storage in the Failover Cluster Manager.';
  return [managerRefusal('cluster', 'source', impossible(order, reason, hint))];
}

function limitCheck(name: string, { storageActive, storageLimit: limit }: HostFacts): Check {
  const evidence = `${storageActive} of ${limit} moves of storage at ${name}`;
  if (storageActive < limit) return managerPass('limit', 'source', evidence);
  const hint = 'Wait for one to end, or raise it: `Set-VMHost -MaximumStorageMigrations`.';
  const what = `simultaneous moves of storage of ${name}`;
  return managerRefusal(
    'limit',
    'source',
    godwitError('GODWIT_OVERLOADED', { what, limit }, { hint }),
  );
}

function physicalChecks(guest: string, { disks }: GuestWhole): Check[] {
  const physical = disks.filter((each) => each.physical);
  if (physical.length === 0)
    return [managerPass('disks', 'source', `${disks.length} virtual disks go there`)];
  return physical.map(({ path, at }) => {
    const facts = { device: at, guest, file: path, reason: 'it is a physical disk of this host' };
    const hint = 'Detach it, or give the guest a virtual disk in its place.';
    return managerRefusal('disks', 'source', godwitError('GODWIT_DISK_LOCAL', facts, { hint }));
  });
}

function stays(order: Order): Check {
  const reason = `its files are in ${order.datastore ?? ''} already`;
  return managerRefusal('disks', 'source', impossible(order, reason, 'Name another folder.'));
}
