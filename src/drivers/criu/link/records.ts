import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { ignoring } from '../../../system/ignoring.ts';
import { renameSynced } from '../../../system/files/whole-file.ts';
import { Mutex } from '../../../mutex.ts';

/**
 * This driver's records of containers between processes, one file per container in a separate directory: its
 * migration, and the progress of a departure. Each is written before the action that it announces.
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
  /** Number in the container; absent in records of earlier versions, which use the list position. */
  index: z.number().int().nonnegative().max(31).optional(),
  ino: z.string().max(20).optional(),
  /**
   * Creation time of its inode, ns; absent in records of earlier versions, and if its file system does not
   * report it.
   */
  bornNs: z.string().max(24).optional(),
});
export type MadeVolume = z.infer<typeof madeVolume>;

const volumeHere = madeVolume.pick({ path: true, kind: true, bytes: true }).extend({
  /** The destination also sees it, so it stays unchanged here. */
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

const podmanContainer = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  runtime: z.enum(['runc', 'crun']),
  /** The arriving record must have this name and these podman directories. */
  expected: z
    .object({ name: z.string().max(128), graph: z.string().max(4096), run: z.string().max(4096) })
    .optional(),
  ports: z.array(z.string().max(15)).max(8).optional(),
  /** MACs of its links: their frames are dropped here until it is restored. */
  macs: z
    .array(z.string().regex(/^[0-9a-f:]{17}$/))
    .max(8)
    .optional(),
});
export type PodmanContainer = z.infer<typeof podmanContainer>;

const record = z.object({
  /** Unique id of this copy. */
  token: z.string().max(64),
  mover: alive,
  /** Id of its migration; absent in records of earlier versions. */
  migration: z.string().max(64).optional(),
  /** runc during a dump or restore; nothing else may be done with the container then. */
  worker: alive.optional(),
  /** First process, after the restore. */
  init: alive.optional(),
  memoryBytes: z.number().int().nonnegative(),
  /** Part of `memoryBytes` that was on GPUs at the last look. */
  gpuBytes: z.number().int().nonnegative().optional(),
  made: z
    .object({
      netns: z.string().max(64),
      nics: z.array(nic).max(8),
      overlay: z.boolean(),
      cgroup: z.string().min(8).max(256).optional(),
      volumes: z.array(madeVolume).max(32).optional(),
      /** Volumes that its source also sees: not made here, and never removed. */
      shared: z.array(sharedVolume).max(32).optional(),
      /** Directories created above its volumes, outermost first. */
      directories: z.array(z.string().max(4096)).max(512).optional(),
    })
    .optional(),
  volumes: z.array(volumeHere).max(32).optional(),
  /** Set while it ends, or has ended, for a cold move: first process, bundle for a restart, and its writable layer. */
  down: z
    .object({ init: alive, bundle: z.string().max(4096), upper: z.string().max(4096) })
    .optional(),
  /** First process before a restart here; handles still name it. */
  was: alive.optional(),
  /** Arrival without memory: its files are here; runc has created it; runc was asked to start it. */
  cold: z.enum(['arrived', 'created', 'started']).optional(),
  /**
   * Departure: `sending` until the destination has everything, then `sent`. `late`: the destination has it and
   * may run it, but some memory is still here.
   */
  leaving: z.enum(['sending', 'late', 'sent']).optional(),
  /** Arrival: the rest of its memory is still to come. */
  late: z.literal(true).optional(),
  /** The GPU state is removed or about to be, so it must be restored if the container stays. */
  gpu: z
    .object({
      pairs: z.array(z.object({ from: z.string().max(32), to: z.string().max(32) })).max(64),
      /** Process that calls the driver; it finishes a call even after its mover ended. */
      helper: alive.optional(),
    })
    .optional(),
  /** Absent: only runc manages it. */
  podman: podmanContainer.optional(),
  /** Bridges to which its unplugged ports must return. */
  unplugged: z.array(z.string().max(15)).max(8).optional(),
});
export type ContainerRecord = z.infer<typeof record>;

export class Records {
  readonly directory: string;
  /** Serializes changes, because each rewrites the same file. */
  readonly #turn = new Mutex();

  constructor(directory: string) {
    this.directory = directory;
  }

  dirOf(name: string): string {
    return path.join(this.directory, name);
  }

  async names(): Promise<string[]> {
    const found = readdir(this.directory, { withFileTypes: true });
    const entries = (await found.catch(ignoring('ENOENT'))) ?? [];
    return entries.filter((each) => each.isDirectory()).map(({ name }) => name);
  }

  /** Undefined only if there is none. Throws for an unreadable record, which does not prove that nothing runs. */
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
    // Synced, because an empty record after a power loss would look damaged.
    await writeFile(`${file}.new`, JSON.stringify(changed), { mode: 0o600, flush: true });
    renameSynced(`${file}.new`, file);
  }

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
