import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { identityOfName } from '../../system/files/open-files.ts';
import { inRealDirectory } from '../../system/files/real-directory.ts';
import { inodeIn } from '../../migration/image-identity.ts';
import { proofAnswer, type ProofAnswer, type ProofPlace } from '../../protocol/disk.ts';
import { directoryAt, onExport, type Export } from './exports.ts';
import { resolveIn, type Pool } from './pools.ts';

/**
 * Storage is shared if each host reads what the other just wrote next to the disk. The source makes a file with a
 * nonce, the destination finds it in a pool, reads it and appends a nonce, and the source reads that. Only the source
 * makes and removes the file.
 */

const NONCE_BYTES = 32;
const NONCE_CHARACTERS = NONCE_BYTES * 2;
/** Slightly more than two nonces; a longer file is not a proof. */
const MAX_CHARACTERS = NONCE_CHARACTERS * 2 + 1;

export function proofFile(migration: string): string {
  return `.godwit-${migration}`;
}

/** Source: directory of an image. When it resolves, written bytes are on the storage. */
export interface Beside {
  /** Makes the file, replacing an earlier mover's, and returns its nonce. */
  write(name: string, signal: AbortSignal): Promise<string>;
  read(name: string, signal: AbortSignal): Promise<string>;
  /** Inode here; absent if the image is not a file. */
  inode?(name: string, signal: AbortSignal): Promise<string | undefined>;
  remove(name: string, signal: AbortSignal): Promise<void>;
}

export function besideInDirectory(directory: string): Beside {
  return {
    write: (name) => writeProof(directory, name),
    read: (name) => readProof(directory, name),
    inode: async (name) => inodeIn(await identityOfName(path.join(directory, name))),
    remove: (name) => removeProof(directory, name),
  };
}

/** Same on an unmounted export; `part`: directory below the export's root. */
export function besideOnExport(pool: Export, part: string): Beside {
  const remove: Beside['remove'] = (name, signal) =>
    onExport(pool, signal, async (client, inner) => {
      const directory = await directoryAt(client, part, inner);
      await client.remove(directory, name, inner).catch(unlessGone);
    });
  return {
    remove,
    write: (name, signal) =>
      onExport(pool, signal, async (client, inner) => {
        const directory = await directoryAt(client, part, inner);
        await client.remove(directory, name, inner).catch(unlessGone);
        const nonce = newNonce();
        const file = await client.create(directory, name, inner);
        await client.write(file, 0, Buffer.from(nonce), inner);
        return nonce;
      }),
    read: (name, signal) =>
      onExport(pool, signal, async (client, inner) => {
        const directory = await directoryAt(client, part, inner);
        const { handle, kind } = await client.lookup(directory, name, inner);
        if (kind !== 'file') throw new Error('it holds no nonce');
        return (await client.read(handle, MAX_CHARACTERS, inner)).toString('latin1');
      }),
    inode: (name, signal) =>
      onExport(pool, signal, async (client, inner) => {
        const directory = await directoryAt(client, part, inner);
        return (await client.lookup(directory, name, inner)).inode;
      }),
  };
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** Lets the destination recognize the proof of a directory before it writes to it. */
export function nonceSum(nonce: string): string {
  return createHash('sha256').update(nonce).digest('hex');
}

/** A file with the same name that proves another directory is not answered here. */
function isOther(read: string, { sum }: ProofPlace): boolean {
  return sum !== undefined && nonceSum(read.slice(0, NONCE_CHARACTERS)) !== sum;
}

function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('hex');
}

export async function writeProof(directory: string, name: string): Promise<string> {
  const file = path.join(directory, name);
  await rm(file, { force: true });
  const nonce = newNonce();
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(nonce);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return nonce;
}

export async function readProof(directory: string, name: string): Promise<string> {
  // Another user may have replaced it by a pipe, whose opening must not block.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path.join(directory, name), flags);
  try {
    return await readShort(handle);
  } finally {
    await handle.close();
  }
}

export async function removeProof(directory: string, name: string): Promise<void> {
  await rm(path.join(directory, name), { force: true });
}

/** Destination: finds the file in its pools, reads it and appends a nonce. Never creates a file. */
export async function answerProof(pools: readonly Pool[], place: ProofPlace): Promise<ProofAnswer> {
  const problems: string[] = [];
  for (const pool of pools) {
    const directory = await resolveIn(pool, place.directory, 'directory');
    if ('problem' in directory) continue;
    try {
      const answer = await addTo(path.join(directory.found, place.file), place);
      if (answer === undefined) continue;
      const found = answer.wrote === undefined ? {} : { pool: pool.id };
      return proofAnswer.parse({ ...answer, ...found });
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') problems.push(`${code}: ${message}`);
    }
  }
  return problems.length === 0 ? {} : { problem: problems.join('; ').slice(0, 1024) };
}

/** Same for an image on an export: searches this host's exports only. */
export async function answerOnExports(
  exports: readonly Export[],
  place: ProofPlace,
  signal: AbortSignal,
): Promise<ProofAnswer> {
  const { directory, file } = place;
  const problems: string[] = [];
  for (const pool of exports) {
    try {
      const answer = await onExport(pool, signal, async (client, inner) => {
        const at = await directoryAt(client, directory, inner);
        const { handle, kind, bytes, inode } = await client.lookup(at, file, inner);
        if (kind !== 'file') throw new Error('it holds no nonce');
        const read = (await client.read(handle, MAX_CHARACTERS, inner)).toString('latin1');
        if (isOther(read, place)) return undefined;
        if (bytes !== NONCE_CHARACTERS) throw new Error('it holds no nonce');
        const wrote = newNonce();
        await client.write(handle, NONCE_CHARACTERS, Buffer.from(wrote), inner);
        return { read, wrote, inode };
      });
      if (answer !== undefined) return proofAnswer.parse({ ...answer, pool: pool.id });
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') problems.push(`${pool.root}: ${message}`);
    }
  }
  return problems.length === 0 ? {} : { problem: problems.join('; ').slice(0, 1024) };
}

/** Errors of a proof that is readable but not writable here. */
const READ_ONLY: ReadonlySet<string> = new Set(['EROFS', 'EACCES', 'EPERM']);

async function openProof(file: string, access: number): Promise<FileHandle> {
  const flags = access | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return inRealDirectory(file, (at) => open(at, flags));
}

/** Reports the content of a file that is readable but not writable here. */
async function onlyRead(
  file: string,
  place: ProofPlace,
  cause: NodeJS.ErrnoException,
): Promise<ProofAnswer | undefined> {
  if (!READ_ONLY.has(cause.code ?? '')) throw cause;
  const handle = await openProof(file, constants.O_RDONLY).catch(() => Promise.reject(cause));
  try {
    if (!(await handle.stat()).isFile()) throw cause;
    const read = await readShort(handle);
    if (isOther(read, place)) return undefined;
    return { read, problem: cause.message.slice(0, 1024) };
  } finally {
    await handle.close();
  }
}

/** Undefined for the proof of another directory. */
async function addTo(file: string, place: ProofPlace): Promise<ProofAnswer | undefined> {
  let handle: FileHandle;
  try {
    handle = await openProof(file, constants.O_RDWR);
  } catch (cause) {
    return onlyRead(file, place, cause as NodeJS.ErrnoException);
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new Error('it holds no nonce');
    const read = await readShort(handle);
    if (isOther(read, place)) return undefined;
    if (info.size !== NONCE_CHARACTERS) throw new Error('it holds no nonce');
    const wrote = newNonce();
    await handle.write(wrote, info.size);
    await handle.sync();
    const { ino } = await handle.stat({ bigint: true });
    return { read, wrote, inode: String(ino) };
  } finally {
    await handle.close();
  }
}

async function readShort(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_CHARACTERS);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return buffer.toString('latin1', 0, bytesRead);
}

export type Verdict =
  | { readonly shared: true }
  /** `readOnly`: the destination sees it but cannot write there. */
  | { readonly shared: false; readonly why: string; readonly readOnly?: true };

/** `shared` if each side has read the other's nonce, or else the reason. Pure. */
export function verdictOf(
  nonce: string,
  answer: ProofAnswer,
  readBack: string,
  hosts: { readonly from: string; readonly to: string },
): Verdict {
  const { from, to } = hosts;
  const no = (why: string) => ({ shared: false, why }) as const;
  if (answer.pool === undefined) {
    if (answer.read === nonce) {
      const why = `${to} reads what ${from} wrote there, and may not write there (${answer.problem})`;
      return { shared: false, readOnly: true, why };
    }
    const why = answer.problem === undefined ? '' : ` (${answer.problem})`;
    return no(`what ${from} wrote beside it was found in none of the \`storage\` of ${to}${why}`);
  }
  if (answer.read !== nonce) return no(`${to} read something else than ${from} had written`);
  if (answer.wrote === undefined) return no(`${to} could not write beside it`);
  if (readBack !== nonce + answer.wrote) return no(`${from} did not read what ${to} had written`);
  return { shared: true };
}
