import { createHash } from 'node:crypto';
import { withDeadline } from '../../deadline.ts';
import { OTHER_THERE } from '../../migration/image-identity.ts';
import { defined } from '../../protocol/defined.ts';
import { formatNfs, parseNfs, type NfsPlace } from '../../protocol/nfs-url.ts';
import type { NfsClient, Entry, Handle } from './nfs/client.ts';
import type { LookupResult, ImageLocation, Pool } from './pools.ts';

/** NFS exports that the hypervisor opens with a client of its own, so that no directory of this host shows them. */

export interface Export extends Pool {
  readonly place: NfsPlace;
  /** Where its server reports its ports; absent: where everybody asks. */
  readonly portmapperPort?: number;
}

/** As a host's configuration has it. */
export interface ExportConfig {
  readonly nfs: string;
  /** As whom it is opened, and written to for a proof; default: as this program. */
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

/** One server's answers take so long at most, ms: it may be gone, and others wait for what is found. */
const ANSWER_MS = 5000;

/** Pure: whether they can be reached shows when they are. */
export function exportsOf(storage: readonly (ExportConfig | object)[]): Export[] {
  return storage.flatMap((each) => {
    const found = 'nfs' in each ? parseNfs(each.nfs) : undefined;
    if (found === undefined || !('nfs' in each)) return [];
    const { user, group } = each;
    const id = createHash('sha256').update(each.nfs).digest('hex').slice(0, 16);
    const place = {
      ...found,
      ...defined({ user, group }),
    };
    return [{ id, root: each.nfs, place }];
  });
}

/** A file of an export as its hypervisor is to open it. */
export function fileOn({ place }: Export, part: string): string {
  return formatNfs({ ...place, path: `${place.path}/${part}` });
}

/** Runs `work` with a client of the export's root, within the time that a server has. */
export async function onExport<T>(
  { place, root, portmapperPort }: Export,
  signal: AbortSignal,
  work: (client: NfsClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { NfsClient: Client } = await import('./nfs/client.ts');
  return withDeadline(root, ANSWER_MS, signal, async (inner) => {
    const client = await Client.open(place, inner, portmapperPort);
    try {
      return await work(client, inner);
    } finally {
      client.close();
    }
  });
}

/** Compared by name alone: the server's name is not resolved, so two names of one server count as two servers. */
export function exportOf(
  exports: readonly Export[],
  file: string,
): LookupResult<ImageLocation & { pool: Export }> {
  const wanted = parseNfs(file);
  if (wanted === undefined) return { problem: 'Godwit does not know where it lies on its export' };
  const [pool] = exports
    .filter(
      ({ place: { host, path } }) => host === wanted.host && wanted.path.startsWith(`${path}/`),
    )
    .toSorted((left, right) => right.root.length - left.root.length);
  if (pool !== undefined) {
    return { found: { pool, path: wanted.path.slice(pool.place.path.length + 1) } };
  }
  const where = exports.map(({ root }) => root).join(', ');
  if (where === '') return { problem: '`storage` names no NFS export' };
  return { problem: `it lies outside of the exports that \`storage\` names (${where})` };
}

/** What is at `part` of a directory that a client has reached; rejects where it is not there. */
export async function walk(client: NfsClient, part: string, signal: AbortSignal): Promise<Entry> {
  let at: Entry = { handle: client.root, kind: 'directory', bytes: 0, inode: '' };
  for (const name of part.split('/').filter((each) => each !== '')) {
    if (at.kind !== 'directory') throw notPlain(name);
    at = await client.lookup(at.handle, name, signal);
  }
  return at;
}

/** The directory at `part`; a symbolic link on the way is refused, wherever it leads. */
export async function directoryAt(
  client: NfsClient,
  part: string,
  signal: AbortSignal,
): Promise<Handle> {
  const { kind, handle } = await walk(client, part, signal);
  if (kind !== 'directory') throw notPlain(part);
  return handle;
}

function notPlain(name: string): Error {
  const what = `what leads to ${name} is a symbolic link, or no directory`;
  return Object.assign(new Error(what), { code: 'ENOTDIR' });
}

/** The first `bytes` of a file that a hypervisor opens on one of the exports; rejects where they cannot be read. */
export function headOn(
  exports: readonly Export[],
  file: string,
  bytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const at = exportOf(exports, file);
  if ('problem' in at) return Promise.reject(new Error(at.problem));
  const { pool, path } = at.found;
  return onExport(pool, signal, async (client, inner) => {
    const { kind, handle } = await walk(client, path, inner);
    if (kind !== 'file') throw new Error('it is a symbolic link, or no file');
    return client.read(handle, bytes, inner);
  });
}

/** The file at `part` of an export, as its hypervisor is to open it, and its number. */
export async function resolveOn(
  pool: Export,
  part: string,
  signal: AbortSignal,
): Promise<LookupResult<{ readonly file: string; readonly inode: string }>> {
  try {
    const at = await onExport(pool, signal, (client, inner) => walk(client, part, inner));
    if (at.kind !== 'file') return { problem: 'it is a symbolic link, or no file' };
    return { found: { file: fileOn(pool, part), inode: at.inode } };
  } catch (error) {
    return { problem: `${pool.root}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** As its hypervisor is to open it. `inode`: the number that the file has at the other host, if both number them alike. */
export async function fileToOpenOn(
  pool: Export,
  part: string,
  inode: string | undefined,
  signal: AbortSignal,
): Promise<LookupResult<string>> {
  const there = await resolveOn(pool, part, signal);
  if ('problem' in there) return there;
  const isOther = inode !== undefined && inode !== there.found.inode;
  return isOther ? { problem: OTHER_THERE } : { found: there.found.file };
}
