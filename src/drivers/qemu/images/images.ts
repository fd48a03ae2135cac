import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { readKept, writeKept } from '../programs/answer-cache.ts';
import type { ImageSpec } from '../spec/schema.ts';

/** Kernels, initramfs and firmware, identified by content instead of path. */

const kept = z.object({ sha256: z.string(), bytes: z.number() });
const MAX_CANDIDATES = 4096;

export class ImageStore {
  readonly #cacheDir: string;
  readonly #fresh = new Map<string, string>();

  /** Hashes are stored in `cacheDir` by the file's device, inode, time and size. */
  constructor(cacheDir: string) {
    this.#cacheDir = cacheDir;
  }

  /** Size and hash of a file; rejects with the system's error if it cannot be read. `at`: path to read instead. */
  async identify(file: string, signal: AbortSignal, at = file): Promise<ImageSpec> {
    const { size } = await stat(at);
    const name = path
      .basename(file)
      .replaceAll(/[^A-Za-z0-9._@:+-]/g, '_')
      .slice(0, 96);
    return {
      name: /^[A-Za-z0-9_]/.test(name) ? name : `_${name.slice(1)}`,
      bytes: size,
      sha256: await this.#hash(at, signal),
    };
  }

  /** Path of the image on this host; undefined if it has none. A file of the same name is tried first. */
  async find(
    image: ImageSpec,
    directories: readonly string[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const candidates = await this.#candidates(image, directories);
    for (const file of candidates) {
      signal.throwIfAborted();
      const sha256 = await this.#hash(file, signal).catch(() => undefined);
      if (sha256 === image.sha256) return file;
    }
    signal.throwIfAborted();
    return undefined;
  }

  async #candidates(image: ImageSpec, directories: readonly string[]): Promise<string[]> {
    const found: { file: string; same: boolean }[] = [];
    for (const directory of directories) {
      const names = await readdir(directory).catch(() => []);
      for (const name of names.slice(0, MAX_CANDIDATES)) {
        const file = path.join(directory, name);
        const info = await stat(file).catch(() => undefined);
        if (info?.isFile() === true && info.size === image.bytes) {
          found.push({ file, same: name === image.name });
        }
      }
    }
    return found
      .toSorted((left, right) => Number(right.same) - Number(left.same))
      .map(({ file }) => file);
  }

  async #hash(file: string, signal: AbortSignal): Promise<string> {
    const info = await stat(file, { bigint: true });
    if (!info.isFile()) throw godwitError('GODWIT_HOST_LACKS', { what: `a file at ${file}` });
    const key = [info.dev, info.ino, info.mtimeNs, info.size].join('-');
    const known = this.#fresh.get(key) ?? (await this.#recall(key));
    if (known !== undefined) return known;
    const sha256 = await hashFile(file, signal);
    this.#fresh.set(key, sha256);
    await this.#remember(key, { sha256, bytes: Number(info.size) });
    return sha256;
  }

  async #recall(key: string): Promise<string | undefined> {
    return (await readKept(path.join(this.#cacheDir, `image-${key}.json`), kept))?.sha256;
  }

  async #remember(key: string, value: z.infer<typeof kept>): Promise<void> {
    await writeKept(path.join(this.#cacheDir, `image-${key}.json`), value);
  }
}

/** Uses one small buffer, so that a mover stays small for any file size. */
async function hashFile(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(256 * 1024);
  const handle = await open(file, 'r');
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
