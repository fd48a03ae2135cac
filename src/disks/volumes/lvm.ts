import { lvmNameProblem } from '../../protocol/volume-names.ts';
import {
  GROUP_COLUMNS,
  VOLUME_COLUMNS,
  parseGroups,
  parseVolumes,
  tagOf,
  type LvmGroup,
  type LvmVolume,
} from './lvm-report.ts';
import { CHANGE_MS, LOOK_MS, type Maker, type OwnVolume } from './maker.ts';
import { noneAtWork, runProgram } from './program.ts';
import type { Refusal, StoreLookup } from './store.ts';

const LVM = 'lvm';
const JSON_REPORT = ['--reportformat', 'json', '--units', 'b', '--nosuffix'];

/** Logical volumes in a volume group, thick, or thin in one of its pools. */
export class LvmMaker implements Maker {
  readonly id: string;
  readonly where: string;
  readonly program = { name: LVM, package: 'lvm2' };
  readonly #group: string;
  readonly #thinPool: string | undefined;

  constructor(group: string, thinPool: string | undefined) {
    this.#group = group;
    this.#thinPool = thinPool;
    this.id = thinPool === undefined ? `lvm ${group}` : `lvm ${group} ${thinPool}`;
    this.where =
      thinPool === undefined ? `the volume group ${group}` : `the thin pool ${group}/${thinPool}`;
  }

  called(name: string): string {
    return `${this.#group}/${name}`;
  }

  nameProblem(name: string): string | undefined {
    return lvmNameProblem(name);
  }

  async look(names: readonly string[], signal: AbortSignal): Promise<StoreLookup> {
    const [group, pool] = [this.#group, this.#thinPool];
    const found = await this.#lookUp(signal);
    if (found === undefined) {
      const hint =
        'Correct `make.lvm` in `storage` of that host’s configuration, or activate the volume group.';
      return { refused: { reason: `there is no volume group ${group}`, hint } };
    }
    const volumes = await this.#volumes(pool === undefined ? names : [...names, pool], signal);
    const unitBytes = found.extentBytes;
    if (pool === undefined) return { store: { volumes, freeBytes: found.freeBytes, unitBytes } };
    const thin = volumes.find((each) => each.name === pool && each.isThinPool);
    if (thin === undefined) return { refused: noThinPool(group, pool) };
    return { store: { volumes, freeBytes: thin.freeBytes, unitBytes } };
  }

  async make(
    { name, bytes, migration }: OwnVolume & { readonly bytes: number },
    signal: AbortSignal,
  ) {
    const pool = this.#thinPool;
    const how =
      pool === undefined
        ? // Old signatures in reused space would cause a prompt.
          ['--wipesignatures', 'y', '--size', `${bytes}b`, this.#group]
        : ['--virtualsize', `${bytes}b`, '--thinpool', pool, this.#group];
    const words = ['lvcreate', '--yes', '--name', name, '--addtag', tagOf(migration), ...how];
    await runProgram(LVM, words, CHANGE_MS, signal);
  }

  async keep(volume: OwnVolume, signal: AbortSignal): Promise<void> {
    if (!(await this.#isOwn(volume, signal))) return;
    const words = ['lvchange', '--deltag', tagOf(volume.migration), this.called(volume.name)];
    await runProgram(LVM, words, CHANGE_MS, signal);
  }

  async remove(volume: OwnVolume, signal: AbortSignal): Promise<void> {
    await noneAtWork(LVM, tagOf(volume.migration), signal);
    if (!(await this.#isOwn(volume, signal))) return;
    // Without force, so that LVM refuses an open volume.
    await runProgram(LVM, ['lvremove', '--yes', this.called(volume.name)], CHANGE_MS, signal);
  }

  async #isOwn({ name, migration }: OwnVolume, signal: AbortSignal): Promise<boolean> {
    if (lvmNameProblem(name) !== undefined) return false;
    const volumes = await this.#volumes([name], signal);
    const found = volumes.find((each) => each.name === name);
    // An unreachable volume is not gone: it may return with its mark and never be removed.
    if (found === undefined && (await this.#lookUp(signal)) === undefined)
      throw new Error(`there is no volume group ${this.#group} now, so ${name} may still be in it`);
    return found?.mark === migration;
  }

  /** State of the volume group; undefined if it or its devices are missing. */
  async #lookUp(signal: AbortSignal): Promise<LvmGroup | undefined> {
    const select = `vg_name="${this.#group}"`;
    const asked = ['vgs', ...JSON_REPORT, '--options', GROUP_COLUMNS, '--select', select];
    const groups = parseGroups(await runProgram(LVM, asked, LOOK_MS, signal));
    if (groups === undefined) throw misread('vgs');
    return groups.find((each) => each.name === this.#group);
  }

  /** Empty without the volume group. LVM names contain no quotation marks. */
  async #volumes(names: readonly string[], signal: AbortSignal): Promise<LvmVolume[]> {
    const named = names.map((name) => `lv_name="${name}"`).join(' || ');
    const select = `vg_name="${this.#group}" && (${named})`;
    const words = ['lvs', ...JSON_REPORT, '--options', VOLUME_COLUMNS, '--select', select];
    const volumes = parseVolumes(await runProgram(LVM, words, LOOK_MS, signal));
    if (volumes === undefined) throw misread('lvs');
    return volumes;
  }
}

function noThinPool(group: string, pool: string): Refusal {
  const hint = 'Correct `make.thinPool` in `storage` of that host’s configuration.';
  return { reason: `${group} has no thin pool ${pool}`, hint };
}

function misread(what: string): Error {
  return new Error(`\`lvm ${what}\` reports what Godwit does not understand`);
}
