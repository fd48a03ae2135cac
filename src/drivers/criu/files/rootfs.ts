import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { keptDigest } from './layer-digests.ts';

/** Container's root file system: image layers, found by content, and the files written above them. */

export interface RootFileSystem {
  /** Layers, uppermost first; empty for a single directory. */
  readonly lower: readonly string[];
  readonly upper: string;
}

const MAX_FILES = 500_000;

export async function rootOf(
  rootfs: string,
  mountsOf: number | undefined,
): Promise<RootFileSystem> {
  const text = await readFile(`/proc/${mountsOf ?? 'self'}/mountinfo`, 'utf8');
  const lines = text.split('\n').map((line) => line.split(' '));
  const found = lines.findLast((words) => unescaped(words[4] ?? '') === rootfs);
  const [type, , options = ''] = found?.slice(found.indexOf('-') + 1) ?? [];
  if (type !== 'overlay') return { lower: [], upper: rootfs };
  const set = new Map(
    options.split(',').map((each): [string, string] => {
      const [key = '', ...value] = each.split('=');
      return [key, unescaped(value.join('='))];
    }),
  );
  const upper = set.get('upperdir');
  const lower = (set.get('lowerdir') ?? '').split(':').filter((each) => each !== '');
  if (upper !== undefined && lower.every((each) => path.isAbsolute(each))) return { lower, upper };
  return { lower: [], upper: rootfs };
}

/** mountinfo writes special characters as octal numbers. */
export function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** SHA-256 of a layer: names, types, modes, owners, links and contents. `records`: storage of the digest. */
export function layerDigest(
  directory: string,
  records: string,
  signal: AbortSignal,
): Promise<string> {
  const file = path.join(records, '.layers.json');
  return keptDigest(directory, file, () => readLayer(directory, signal), signal);
}

/** SHA-256 of a regular file's mode and content, stored like a layer's. */
export function fileDigest(file: string, records: string, signal: AbortSignal): Promise<string> {
  const read = async (): Promise<string> => {
    const hash = createHash('sha256').update(`file ${(await lstat(file)).mode}`);
    for await (const part of createReadStream(file, { signal })) hash.update(part as Buffer);
    return hash.digest('hex');
  };
  return keptDigest(file, path.join(records, '.layers.json'), read, signal);
}

async function readLayer(directory: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const queue = [''];
  for (let seen = 0; queue.length > 0;) {
    const at = queue.shift() ?? '';
    for (const name of (await readdir(path.join(directory, at))).toSorted()) {
      signal.throwIfAborted();
      seen += 1;
      if (seen > MAX_FILES) throw tooMany(directory);
      const inner = path.join(at, name);
      const file = path.join(directory, inner);
      const facts = await lstat(file);
      const { mode, uid, gid, size, rdev } = facts;
      const isFile = facts.isFile();
      hash.update(JSON.stringify([inner, mode, uid, gid, isFile ? size : 0, rdev]));
      if (facts.isDirectory()) queue.push(inner);
      else if (facts.isSymbolicLink()) hash.update(await readlink(file));
      else if (isFile) {
        for await (const part of createReadStream(file, { signal })) hash.update(part as Buffer);
      }
    }
  }
  return hash.digest('hex');
}

function tooMany(directory: string): Error {
  const what = `a layer of at most ${MAX_FILES} files: ${directory} has more`;
  return godwitError('GODWIT_HOST_LACKS', { what });
}

/** Path of each layer below the directories; missing layers are undefined. */
export async function findLayers(
  digests: readonly string[],
  layerDirs: readonly string[],
  records: string,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const wanted = new Set(digests);
  for await (const directory of layersBelow(layerDirs)) {
    if (found.size === wanted.size) return found;
    const digest = await layerDigest(directory, records, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      return String(error);
    });
    if (wanted.has(digest)) found.set(digest, directory);
  }
  return found;
}

/** Reads each layer that is new or changed, so that its digest is known when needed. */
export async function readLayers(
  layerDirs: readonly string[],
  records: string,
  signal: AbortSignal,
): Promise<void> {
  for await (const directory of layersBelow(layerDirs)) {
    signal.throwIfAborted();
    // A layer's error is reported when it is needed.
    await layerDigest(directory, records, signal).catch(() => undefined);
  }
}

async function* layersBelow(layerDirs: readonly string[]): AsyncGenerator<string> {
  for (const parent of layerDirs) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) yield path.join(parent, entry.name);
  }
}
