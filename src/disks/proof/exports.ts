import { createHash } from 'node:crypto';
import { withDeadline } from '../../deadline.ts';
import { OTHER_THERE } from '../../migration/image-identity.ts';
import { defined } from '../../protocol/defined.ts';
import { formatNfs, parseNfs, type NfsPlace } from '../../protocol/nfs-url.ts';
import type { NfsClient, Entry, Handle } from './nfs/client.ts';
import type { LookupResult, ImageLocation, Pool } from './pools.ts';

/** NFS exports that the hypervisor opens with its own client, without a mount on this host. */

export interface Export extends Pool {
  readonly place: NfsPlace;
  /** Port of the server's portmapper; absent: the usual one. */
  readonly portmapperPort?: number;
}

export interface ExportConfig {
  readonly nfs: string;
  /** User for opening and for proof files; default: this program's. */
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

/** Limit for one server's answers, ms; others wait for the result. */
const ANSWER_MS = 5000;

/** Pure: does not check whether they are reachable. */
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

export function fileOn({ place }: Export, part: string): string {
  return formatNfs({ ...place, path: `${place.path}/${part}` });
}

/** Runs `work` with a client of the export's root, within the server's time limit. */
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

/** Compares names only: two names of one server count as two servers. */
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

/** Entry at `part` of a directory; rejects if missing. */
export async function walk(client: NfsClient, part: string, signal: AbortSignal): Promise<Entry> {
  let at: Entry = { handle: client.root, kind: 'directory', bytes: 0, inode: '' };
  for (const name of part.split('/').filter((each) => each !== '')) {
    if (at.kind !== 'directory') throw notPlain(name);
    at = await client.lookup(at.handle, name, signal);
  }
  return at;
}

/** Directory at `part`; symbolic links on the way are refused. */
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

/** First `bytes` of a file on one of the exports; rejects if unreadable. */
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

/** Path for its hypervisor. `inode`: number of the file at the other host, if both number alike. */
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
