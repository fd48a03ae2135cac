import { zfsNameProblem } from '../../protocol/volume-names.ts';
import { CHANGE_MS, LOOK_MS, type Maker, type OwnVolume } from './maker.ts';
import { ProgramError, noneAtWork, runProgram } from './program.ts';
import type { StoreLookup } from './store.ts';
import {
  MARK_PROPERTY,
  PROPERTIES,
  markOf,
  parseProperties,
  type ZfsReport,
} from './zfs-report.ts';

const ZFS = 'zfs';
/** Block size of each volume, because ZFS would round sizes up by its default. */
const BLOCK_BYTES = 16 * 1024;
/** Maximum overhead of a volume, except on RAID-Z. */
const RECORDS = 1 / 32;

/** ZFS volumes below a data set, with reserved space or sparse. */
export class ZfsMaker implements Maker {
  readonly id: string;
  readonly where: string;
  readonly program = { name: ZFS, package: 'zfsutils-linux' };
  readonly #dataset: string;
  readonly #isSparse: boolean;

  constructor(dataset: string, isSparse: boolean) {
    this.#dataset = dataset;
    this.#isSparse = isSparse;
    this.id = `zfs ${dataset}`;
    this.where = `the data set ${dataset}`;
  }

  called(name: string): string {
    return `${this.#dataset}/${name}`;
  }

  nameProblem(name: string): string | undefined {
    return zfsNameProblem(name);
  }

  async look(names: readonly string[], signal: AbortSignal): Promise<StoreLookup> {
    const report = await this.#report(signal);
    if (report?.freeBytes === undefined) {
      const what = report === undefined ? 'there is no data set' : 'no file system of ZFS is';
      const hint =
        'Correct `make.zfs` in `storage` of that host’s configuration, or import the pool.';
      return { refused: { reason: `${what} ${this.#dataset}`, hint } };
    }
    const other = names.find((name) => report.others.includes(name));
    if (other !== undefined) {
      const hint = 'Give the source’s device another name, or take another data set for volumes.';
      return { refused: { reason: `${this.called(other)} is there, and no volume`, hint } };
    }
    const volumes = report.volumes.filter(({ name }) => names.includes(name));
    const freeBytes = Math.floor(report.freeBytes / (1 + RECORDS));
    return { store: { volumes, freeBytes, unitBytes: BLOCK_BYTES } };
  }

  async make(
    { name, bytes, migration }: OwnVolume & { readonly bytes: number },
    signal: AbortSignal,
  ): Promise<void> {
    const sparse = this.#isSparse ? ['-s'] : [];
    const size = ['-V', String(bytes), '-b', String(BLOCK_BYTES)];
    const words = ['create', ...sparse, ...size, '-o', markOf(migration), this.called(name)];
    await runProgram(ZFS, words, CHANGE_MS, signal);
  }

  async keep(volume: OwnVolume, signal: AbortSignal): Promise<void> {
    if (!(await this.#isOwn(volume, signal))) return;
    const words = ['inherit', MARK_PROPERTY, this.called(volume.name)];
    await runProgram(ZFS, words, CHANGE_MS, signal);
  }

  async remove(volume: OwnVolume, signal: AbortSignal): Promise<void> {
    await noneAtWork(ZFS, markOf(volume.migration), signal);
    if (!(await this.#isOwn(volume, signal))) return;
    // Neither recursive nor forced, so that ZFS refuses a volume in use.
    await runProgram(ZFS, ['destroy', this.called(volume.name)], CHANGE_MS, signal);
  }

  async #isOwn({ name, migration }: OwnVolume, signal: AbortSignal): Promise<boolean> {
    if (zfsNameProblem(name) !== undefined) return false;
    const report = await this.#report(signal);
    // An unreachable volume is not gone: it may return with its mark and never be removed.
    if (report === undefined)
      throw new Error(`there is no data set ${this.#dataset} now, so ${name} may still be in it`);
    return report.volumes.some((each) => each.name === name && each.mark === migration);
  }

  /** Undefined without the data set. Inherited marks are not read. */
  async #report(signal: AbortSignal): Promise<ZfsReport | undefined> {
    const which = ['-r', '-d', '1', '-t', 'filesystem,volume', '-s', 'local,none'];
    const words = ['get', '-H', '-p', ...which, '-o', 'name,property,value', PROPERTIES];
    const asked = runProgram(ZFS, [...words, this.#dataset], LOOK_MS, signal);
    const text = await asked.catch((thrown: unknown) => {
      if (thrown instanceof ProgramError && /does not exist/.test(thrown.said)) return undefined;
      throw thrown;
    });
    if (text === undefined) return undefined;
    const report = parseProperties(text, this.#dataset);
    if (report === undefined) throw new Error('`zfs get` reports what Godwit does not understand');
    return report;
  }
}
