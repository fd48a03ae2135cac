import path from 'node:path';
import { rmSync } from 'node:fs';
import type { Tunnel } from '../../../../disks/copy/tunnel/open.ts';
import { hasCode, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { ask, type MoverParts } from '../source-base.ts';

type Dependencies = Pick<MoverParts, 'request' | 'peer' | 'state' | 'dir'>;

const ANSWER_MS = 15_000;

/** The unix socket into which the hypervisor sends what it copies. */
export function disksSocket({ dir }: Pick<MoverParts, 'dir'>): string {
  return path.join(dir, 'disks.sock');
}

/**
 * The copies are whole, and the destination closes what it offered for them. This takes the hypervisor a while, in
 * which the last of the guest's state moves: the guest is paused for both.
 */
export class CloseThere {
  readonly #deps: Dependencies;
  readonly #log: Log;
  /** False where it did not come to its end. */
  #ended: Promise<boolean> | undefined;

  constructor(deps: Dependencies, log: Log) {
    this.#deps = deps;
    this.#log = log;
  }

  /** `tunnel`: the path of the copies, which ends with them. */
  begin(tunnel: Tunnel | undefined): void {
    this.#ended = end(this.#deps, AbortSignal.timeout(ANSWER_MS)).then(
      () => true,
      (error: unknown) => {
        this.#log.debug({ error: toGodwitError(error) }, 'the copies are not released yet');
        return false;
      },
    );
    void this.#ended.then(() => tunnel?.abort(new Error('the copies are whole')));
  }

  /** Nobody but the guest writes to the copies when this resolves, which is before it runs there. Repeatable, by any mover. */
  async ended(signal: AbortSignal): Promise<void> {
    const { copies = [] } = this.#deps.state().known;
    if (copies.length === 0 || (await this.#ended) === true) return;
    await end(this.#deps, signal).catch((error: unknown) => {
      // It runs there already, or never will: the answer to commit shows which.
      if (!hasCode(error, 'GODWIT_NOT_ARMED')) throw error;
    });
  }
}

async function end(context: Dependencies, signal: AbortSignal): Promise<void> {
  const { epoch, settings } = context.state().plan;
  const body = settings.verifyDisks === true ? { epoch, watch: true } : { epoch };
  await ask(context, signal, (api) => api.disksEnd({ body }, { signal, deadlineMs: ANSWER_MS }));
  rmSync(disksSocket(context), { force: true });
}
