import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { HostContext } from '../host/host-context.ts';
import { checkOurs, fillVolume } from './made-volumes.ts';
import type { MadeVolume } from '../link/records.ts';
import { applyChanges, archiveMs, unpack, volumeName } from './trees.ts';

interface Tree {
  readonly into: string;
  /** Undefined for the root file system. */
  readonly volume: MadeVolume | undefined;
}

/** File trees of an arriving container; archives that arrive while it runs are unpacked at once. */
export class ArrivingTrees {
  readonly #runc: HostContext['runc'];
  readonly #input: string;
  readonly #trees: ReadonlyMap<string, Tree>;
  readonly #bases = new Map<string, Promise<void>>();
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    { runc }: Pick<HostContext, 'runc'>,
    {
      input,
      root,
      volumes,
    }: { readonly input: string; readonly root: string; readonly volumes: readonly MadeVolume[] },
    signal: AbortSignal,
  ) {
    this.#runc = runc;
    this.#input = input;
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
    this.#trees = new Map([
      ['root', { into: root, volume: undefined }],
      ...volumes.map((volume, place): [string, Tree] => [
        volumeName(volume.index ?? place),
        { into: volume.path, volume },
      ]),
    ]);
  }

  base(name: string): void {
    const tree = this.#trees.get(name);
    if (tree === undefined || tree.volume?.kind === 'file' || this.#bases.has(name))
      throw new Error(`${name} does not come in parts`);
    const work = this.#unpackBase(name, tree);
    work.catch(() => {});
    this.#bases.set(name, work);
  }

  async #unpackBase(name: string, { into, volume }: Tree): Promise<void> {
    if (volume !== undefined) await checkOurs(volume);
    const archive = path.join(this.#input, `${name}.base.tar`);
    const bytes = await bytesOf(archive, volume);
    await unpack(this.#runc, archive, { into, bytes }, this.#signal);
    await rm(archive, { force: true });
  }

  /** Everything has arrived. `digests`: expected digests of trees that came in parts. */
  async finish(digests: ReadonlyMap<string, string>): Promise<void> {
    for (const [name, { into, volume }] of this.#trees) {
      const base = this.#bases.get(name);
      let unpacked = volume?.bytes ?? 0;
      if (base !== undefined) {
        await base;
        const digest = digests.get(name);
        if (digest === undefined) throw new Error(`the changes of ${name} did not come`);
        if (volume !== undefined) await checkOurs(volume);
        unpacked = await bytesOf(path.join(this.#input, `${name}.changed.tar`), volume);
        const from = { input: this.#input, name, digest };
        await applyChanges(this.#runc, from, { into, bytes: unpacked }, this.#signal);
        if (volume !== undefined) await checkOurs(volume);
      } else {
        const archive = path.join(this.#input, `${name}.tar`);
        if (volume !== undefined) await fillVolume(this.#runc, volume, archive, this.#signal);
        else {
          unpacked = await bytesOf(archive, undefined);
          await unpack(this.#runc, archive, { into, bytes: unpacked }, this.#signal);
        }
      }
      await this.#toDisk(into, unpacked);
    }
  }

  /** The source is removed once the container runs here, so data that its programs have synced must be synced here. */
  async #toDisk(file: string, bytes: number): Promise<void> {
    const options = { deadlineMs: archiveMs(bytes), signal: this.#signal };
    await this.#runc.run(['sync', '-f', '--', file], options);
  }

  /** Ends running unpacks and waits for them: their directory must not be removed before. */
  async end(): Promise<void> {
    this.#over.abort(new Error('it is not unpacked any more'));
    await Promise.allSettled(this.#bases.values());
  }
}

/** A volume may have grown since the source counted it; the root file system is not counted. */
async function bytesOf(archive: string, volume: MadeVolume | undefined): Promise<number> {
  return Math.max((await stat(archive)).size, volume?.bytes ?? 0);
}
