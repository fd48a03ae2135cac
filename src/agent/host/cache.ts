import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { cacheDirectory, circleOf, siteSecret } from '../../host/wire.ts';
import { defined } from '../../protocol/defined.ts';
import type { CacheStatus, SeedRequest } from '../../protocol/public/cache.ts';
import { guestName } from '../../protocol/names.ts';
import { listCache, pruneCache, trimPlaces } from '../../wire/cache/listing.ts';
import { Mutex } from '../../mutex.ts';

const PLACES_PART = 4;

export class HostCache {
  readonly #config: AgentConfig;
  readonly #mutex = new Mutex();

  constructor(config: AgentConfig) {
    this.#config = config;
  }

  status(): CacheStatus {
    const { scope, bytes: mostBytes } = this.#config.cache;
    const directory = cacheDirectory(this.#config);
    const { bytes, pages, seeds, places } = listCache(directory);
    const unusable = this.#unusable();
    return {
      directory,
      bytes,
      mostBytes,
      scope,
      pages,
      ...defined({ unusable }),
      seeds: seeds.slice(0, 10_000),
      guests: guestsOf(places).slice(0, 100_000),
    };
  }

  #unusable(): string | undefined {
    if (this.#config.cache.scope === 'none') return 'its scope is none';
    if (siteSecret(this.#config) !== undefined) return undefined;
    return 'this host has no site.secret: issue its certificate anew, or copy that of another host';
  }

  /** Runs one at a time, because it reads whole files. */
  seed(asked: SeedRequest, signal: AbortSignal): Promise<{ file: string; pages: number }> {
    return this.#mutex.run(async () => {
      const file = path.resolve(asked.file);
      const unusable = this.#unusable();
      const secret = siteSecret(this.#config);
      if (unusable !== undefined || secret === undefined) {
        throw godwitError('GODWIT_CAPABILITY', {
          what: 'a cache',
          reason: unusable ?? 'no secret',
        });
      }
      const sharing = circleOf(this.#config.cache.scope, asked.guest, asked.tenant);
      if (sharing === undefined) {
        const what = `the cache is shared by ${this.#config.cache.scope}: whose is ${file} to be?`;
        const hint = `Name it with --${this.#config.cache.scope}.`;
        throw godwitError('GODWIT_USAGE', { what }, { hint });
      }
      return { file, pages: await this.#index(file, secret, sharing, signal) };
    });
  }

  async #index(
    file: string,
    secret: Buffer,
    sharing: NonNullable<ReturnType<typeof circleOf>>,
    signal: AbortSignal,
  ): Promise<number> {
    const [{ Scope }, { Store }] = await Promise.all([
      import('../../wire/cache/scope.ts'),
      import('../../wire/cache/store.ts'),
    ]);
    const store = await Store.open({
      directory: cacheDirectory(this.#config),
      mostBytes: this.#config.cache.bytes,
      scope: new Scope(secret, sharing),
    });
    try {
      return await store.seed(file, signal);
    } catch (cause) {
      signal.throwIfAborted();
      const what = `cannot be seeded: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw godwitError(
        'GODWIT_CONFIG',
        { file, what },
        { cause, hint: 'Name a file of this host.' },
      );
    } finally {
      store.close();
    }
  }

  tend(): void {
    trimPlaces(cacheDirectory(this.#config), this.#config.cache.bytes / PLACES_PART);
  }

  prune(bytes: number): Promise<{ freedBytes: number; bytes: number }> {
    return this.#mutex.run(() => {
      const { freed, left } = pruneCache(cacheDirectory(this.#config), bytes);
      return Promise.resolve({ freedBytes: freed, bytes: left });
    });
  }
}

function guestsOf(places: readonly string[]): string[] {
  const guests = places.filter((name) => name.includes('@')).map((name) => name.split('@', 1)[0]);
  return [...new Set(guests)].filter((name) => guestName.safeParse(name).success) as string[];
}
