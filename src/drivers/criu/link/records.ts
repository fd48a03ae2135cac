import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { ignoring } from '../../../system/ignoring.ts';
import { renameSynced } from '../../../system/files/whole-file.ts';
import { Mutex } from '../../../mutex.ts';

/**
 * What this driver remembers of a container between processes, one file each in a directory of its own: which migration
 * brought it, and how far one that leaves is. Written before what it announces.
 */

const alive = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  bootId: z.string().max(64).optional(),
});

const nic = z.object({ port: z.string().max(15), name: z.string().max(15) });

const madeVolume = z.object({
  path: z.string().max(4096),
  kind: z.enum(['directory', 'file']),
  bytes: z.number().int().nonnegative(),
  /** Its number in the container; absent in records of earlier versions: its place in the list. */
  index: z.number().int().nonnegative().max(31).optional(),
  /** Absent until it is made. */
  ino: z.string().max(20).optional(),
  /** When its inode was made, ns; absent in records of earlier versions, and where its file system does not know. */
  bornNs: z.string().max(24).optional(),
});
export type MadeVolume = z.infer<typeof madeVolume>;

const volumeHere = madeVolume.pick({ path: true, kind: true, bytes: true }).extend({
  /** The destination sees it too: it stays as it is, whatever becomes of the container here. */
  shared: z.literal(true).optional(),
});

const sharedVolume = z.object({
  index: z.number().int().nonnegative().max(31),
  path: z.string().max(4096),
  kind: z.enum(['directory', 'file']),
  /** Device and inode. */
  at: z.string().max(64),
});
export type SharedVolume = z.infer<typeof sharedVolume>;

/** A container of podman: its id in podman, its runtime by name, and the facts of its arrival here. */
const podmanContainer = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  runtime: z.enum(['runc', 'crun']),
  /** The arriving record must match: the container's name, and podman's directories. */
  expected: z
    .object({ name: z.string().max(128), graph: z.string().max(4096), run: z.string().max(4096) })
    .optional(),
  /** The ports of its links, on this host's bridges, once they are known. */
  ports: z.array(z.string().max(15)).max(8).optional(),
  /** Of its links: frames with them are dropped here until it is restored. */
  macs: z
    .array(z.string().regex(/^[0-9a-f:]{17}$/))
    .max(8)
    .optional(),
});
export type PodmanContainer = z.infer<typeof podmanContainer>;

const record = z.object({
  /** A number of this copy that no other has. */
  token: z.string().max(64),
  /** The process of Godwit that works on it. */
  mover: alive,
  /** The id of the migration that brought it; absent in records of earlier versions. */
  migration: z.string().max(64).optional(),
  /** runc, while it dumps or restores: nothing else may be done with the container meanwhile. */
  worker: alive.optional(),
  /** Its first process, once it is restored. */
  init: alive.optional(),
  memoryBytes: z.number().int().nonnegative(),
  /** As much of that is what it had on GPUs when it was last looked at. */
  gpuBytes: z.number().int().nonnegative().optional(),
  /** What was made here for it. */
  made: z
    .object({
      netns: z.string().max(64),
      nics: z.array(nic).max(8),
      overlay: z.boolean(),
      cgroup: z.string().min(8).max(256).optional(),
      volumes: z.array(madeVolume).max(32).optional(),
      /** Those that its source sees too: nothing of them was made here, and nothing is removed. */
      shared: z.array(sharedVolume).max(32).optional(),
      /** Those above its volumes that were not there; the outermost come first. */
      directories: z.array(z.string().max(4096)).max(512).optional(),
    })
    .optional(),
  /** The volumes that it mounts here, of one that is to leave. */
  volumes: z.array(volumeHere).max(32).optional(),
  /** It is ending, or has ended, for a cold move: its first process, where it is started from if it stays, what it wrote. */
  down: z
    .object({ init: alive, bundle: z.string().max(4096), upper: z.string().max(4096) })
    .optional(),
  /** Of one that was started again here: its first process before, which handles still name. */
  was: alive.optional(),
  /** One that comes without memory: its files are here; runc has made it; runc was asked to let it run. */
  cold: z.enum(['arrived', 'created', 'started']).optional(),
  /**
   * On its way out: `sending` until the destination has all of it, then `sent`. `late`: the destination has it, and may run
   * it, but for memory that is still here.
   */
  leaving: z.enum(['sending', 'late', 'sent']).optional(),
  /** Of one that came: the rest of its memory is yet to come. */
  late: z.literal(true).optional(),
  /** The state of its GPUs is taken away, or is to be: where it runs on, it has to be given back. */
  gpu: z
    .object({
      pairs: z.array(z.object({ from: z.string().max(32), to: z.string().max(32) })).max(64),
      /** Who calls the driver for that: it goes on with a call where its mover has ended. */
      helper: alive.optional(),
    })
    .optional(),
  /** Absent: runc alone has it. */
  podman: podmanContainer.optional(),
  /** The bridges from which its ports were taken, which they return to. */
  unplugged: z.array(z.string().max(15)).max(8).optional(),
});
export type ContainerRecord = z.infer<typeof record>;

export class Records {
  readonly directory: string;
  /** Two changes at once would write to one file, and the later one would not know of the other. */
  readonly #turn = new Mutex();

  constructor(directory: string) {
    this.directory = directory;
  }

  dirOf(name: string): string {
    return path.join(this.directory, name);
  }

  /** Of those that there may be a record of. The first record makes the directory. */
  async names(): Promise<string[]> {
    const found = readdir(this.directory, { withFileTypes: true });
    const entries = (await found.catch(ignoring('ENOENT'))) ?? [];
    return entries.filter((each) => each.isDirectory()).map(({ name }) => name);
  }

  /** Undefined only where there is none. Throws for one that cannot be read: it is no proof that nothing runs. */
  readSync(name: string): ContainerRecord | undefined {
    const file = path.join(this.dirOf(name), 'record.json');
    try {
      return record.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      const said = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
      const what = `the record ${file} of a container cannot be read: ${said.slice(0, 300)}`;
      throw godwitError('GODWIT_INTERNAL', { what }, { cause });
    }
  }

  write(name: string, changed: ContainerRecord): Promise<void> {
    return this.#turn.run(() => this.#put(name, changed));
  }

  async #put(name: string, changed: ContainerRecord): Promise<void> {
    const file = path.join(this.dirOf(name), 'record.json');
    await mkdir(this.dirOf(name), { recursive: true, mode: 0o700 });
    // An empty record after a power loss could not be told from a damaged one.
    await writeFile(`${file}.new`, JSON.stringify(changed), { mode: 0o600, flush: true });
    renameSynced(`${file}.new`, file);
  }

  /** Changes what is there; nothing where nothing is. */
  change(name: string, change: Partial<ContainerRecord>): Promise<void> {
    return this.#turn.run(async () => {
      const before = this.readSync(name);
      if (before !== undefined) await this.#put(name, { ...before, ...change });
    });
  }

  async forget(name: string): Promise<void> {
    await rm(path.join(this.dirOf(name), 'record.json'), { force: true });
  }
}
