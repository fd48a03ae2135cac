import { defined } from '../../protocol/defined.ts';
import type { Launch } from '../port/direct.ts';
import type { DestinationHold } from './destination-hold.ts';
import { killProcess } from './guest/process.ts';
import { launchIn, type QemuHandle, type QemuLaunch } from './handle.ts';
import { launchCommand, type LaunchSite } from './launch.ts';
import { coldArguments } from './relaunch.ts';
import { entering } from './user/cgroup.ts';
import { confined, mayLock } from './user/confine.ts';

/**
 * Starts the guest of a cold move. The QEMU that took its disks was asked to wait for a stream, and has not loaded the
 * machine's firmware: it can start no guest. The next one can, and starts paused: it runs nothing before it is ordered to.
 */
export class ColdStart {
  readonly #place: LaunchSite;
  readonly #hold: DestinationHold;
  /** What a process may take to end, ms. */
  readonly #endMs: number;
  #launch: QemuLaunch | undefined;
  /** This session ended the one that waited, and the next one ended before anybody could order it to run the guest. */
  failed = false;

  constructor(
    place: LaunchSite & { readonly launch?: Launch },
    hold: DestinationHold,
    endMs: number,
  ) {
    this.#place = place;
    this.#hold = hold;
    this.#endMs = endMs;
    const { launch, guest, host } = place;
    this.#launch = launch === undefined ? undefined : launchIn(launch, guest, host);
  }

  /** For its record: who takes this session over starts the guest by the same. */
  get known(): { readonly launch?: QemuLaunch } {
    return this.#launch === undefined ? {} : { launch: this.#launch };
  }

  /** By the command line of the one that waits. */
  knows(
    binary: string,
    argv: readonly string[],
    { as, lockBytes }: Pick<LaunchSite, 'as' | 'lockBytes'>,
  ): { readonly launch?: QemuLaunch } {
    const user = as && { ...as, groups: [...as.groups], noNewPrivs: as.noNewPrivs !== false };
    this.#launch = {
      binary,
      argv: [...coldArguments(argv), '-S'],
      cwd: this.#place.guestDir,
      ...defined({ as: user, lockBytes }),
    };
    return this.known;
  }

  async start(signal: AbortSignal): Promise<QemuHandle> {
    const hold = this.#hold;
    const waiting = (await hold.reattach(signal)) ? hold.handle : undefined;
    if (waiting !== undefined) {
      const { run } = await hold.must().watch.status(signal);
      if (run !== 'incoming') return waiting;
    }
    if (this.#launch === undefined) throw await hold.judge('how to start it is not known', signal);
    if (waiting !== undefined) {
      hold.release();
      await killProcess(waiting, this.#endMs, signal);
    }
    const { binary: file, argv, as, lockBytes } = this.#launch;
    const limited = mayLock(lockBytes, confined({ file, argv }, as));
    const command = entering(this.#place.guestDir, limited);
    try {
      const { handle, client } = await launchCommand(this.#place, command, signal, (own) => {
        hold.handle = own;
      });
      await hold.take(handle, client, signal, true);
      return handle;
    } catch (error) {
      if (hold.handle !== undefined) await killProcess(hold.handle, this.#endMs, signal);
      this.failed = waiting !== undefined;
      throw await hold.judge(error instanceof Error ? error.message : String(error), signal);
    }
  }
}
