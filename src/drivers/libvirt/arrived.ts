import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { WrittenFiles } from '../../port/disks.ts';
import type { ArrivedGuest } from '../../port/managed.ts';
import { knownAs } from '../known-as.ts';
import type { LibvirtClient } from './client.ts';
import { readDomain, type DomainDisk } from './domain-xml.ts';
import { MARK, parseMark } from './mark.ts';

/** Checks of an arrived domain through its daemon, from outside its QEMU. */

/** Undefined if the daemon runs no domain with that name and this migration's mark. */
export async function arrivedGuest(
  client: LibvirtClient,
  { id, guest }: Pick<ManagedOrder, 'id' | 'guest'>,
  signal: AbortSignal,
): Promise<ArrivedGuest | undefined> {
  const active = await client.activeDomains(signal);
  const domain = active.find(({ name }) => knownAs(name) === guest);
  if (domain === undefined) return undefined;
  if (parseMark(await client.metadata(domain, MARK, signal))?.id !== id) return undefined;
  const { facts } = readDomain(await client.xml(domain, signal));
  return facts && { written: writtenBy(facts.disks), nics: facts.nics };
}

/** Written files by path; undefined if libvirt names one differently. A shared disk has several writers. */
export function writtenBy(disks: readonly DomainDisk[]): WrittenFiles | undefined {
  const written = disks.filter(
    ({ isWritten, isShareable, source }) => isWritten && !isShareable && source !== '',
  );
  const remote = written.filter(({ kind }) => kind === 'network');
  const files = written.filter(({ kind }) => kind !== 'network').map(({ source }) => source);
  if (!files.every((file) => file.startsWith('/'))) return undefined;
  return { files: [...new Set(files)], remote: remote.length };
}
