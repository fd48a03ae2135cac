import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { keptDigest } from './layer-digests.ts';

/** The root file system of a container: layers of an image, found by what they hold, and what was written above them. */

export interface RootFileSystem {
  /** Layers, the uppermost first; none where it is one directory. */
  readonly lower: readonly string[];
  /** What is sent: the upper directory, or all of it. */
  readonly upper: string;
}

/** More files than this in a layer would keep this process busy. */
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

/** mountinfo writes spaces and the like as octal numbers. */
export function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** SHA-256 of all that a layer holds: names, kinds, modes, owners, links and contents. `records`: where it is kept. */
export function layerDigest(
  directory: string,
  records: string,
  signal: AbortSignal,
): Promise<string> {
  const file = path.join(records, '.layers.json');
  return keptDigest(directory, file, () => readLayer(directory, signal), signal);
}

/** SHA-256 of a plain file: its mode and its content; kept as those of layers. */
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

/** Where each of these layers is below the directories; undefined for those that are nowhere. */
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
      // One that cannot be read is none that can be used.
      return String(error);
    });
    if (wanted.has(digest)) found.set(digest, directory);
  }
  return found;
}

/** Each layer below the directories that was not read since it changed, so that it is known once somebody asks. */
export async function readLayers(
  layerDirs: readonly string[],
  records: string,
  signal: AbortSignal,
): Promise<void> {
  for await (const directory of layersBelow(layerDirs)) {
    signal.throwIfAborted();
    // What is wrong with it is said to whoever asks for it.
    await layerDigest(directory, records, signal).catch(() => undefined);
  }
}

async function* layersBelow(layerDirs: readonly string[]): AsyncGenerator<string> {
  for (const parent of layerDirs) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) yield path.join(parent, entry.name);
  }
}
