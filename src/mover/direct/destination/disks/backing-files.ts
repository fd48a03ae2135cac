import path from 'node:path';
import type { BackingFileTaker } from '../../../../disks/backing/take.ts';
import type { BackingTarget } from '../../../../disks/backing/file.ts';
import type { TargetTunnel } from '../../../../disks/copy/tunnel/open.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import { godwitError, toGodwitError } from '../../../../errors.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import type { DiskTunnel, SeedAnswer, Seeding } from '../../../../protocol/peer/migration.ts';
import {
  discard,
  isNamed,
  keep,
  madeNames,
  makeDirectories,
  removeDirectories,
} from '../../../../disks/proof/made-files.ts';
import { openPools } from '../../../../disks/proof/pools.ts';
import { checkAdmitted } from '../admitted.ts';
import { planSeeding } from './backing-plan.ts';
import { openTunnel } from './disks.ts';
import type { Ledger } from '../ledger.ts';
import { refuseWrittenBackingFiles, withOwnPlaces } from './storage.ts';
import type { DestinationContext } from '../destination-context.ts';

interface Taking {
  readonly tunnel: TargetTunnel;
  readonly taker: BackingFileTaker;
  stopped?: Promise<void>;
}

/** Read-only images that the hosts do not share: found here, or received. */
export class DestinationBackingFiles {
  readonly #context: Pick<DestinationContext, 'config' | 'placeIds' | 'log'>;
  #taking: Taking | undefined;

  constructor(context: Pick<DestinationContext, 'config' | 'placeIds' | 'log'>) {
    this.#context = context;
  }

  /** Lists missing images and opens a session for them; closes an earlier session. */
  async seed(
    session: DestinationSession,
    ledger: Ledger,
    asked: Seeding,
    signal: AbortSignal,
  ): Promise<SeedAnswer> {
    const { config } = this.#context;
    const { admission } = ledger.state;
    checkAdmitted(config, admission, asked, session.nics(asked.description));
    const seeding = await withOwnPlaces(this.#context, asked, true);
    refuseWrittenBackingFiles(config, seeding.description, seeding.bases);
    await this.stop('backing files are sent over a new session');
    if (session.disks === undefined) {
      const what = `a driver for ${seeding.description.driver} that takes disks`;
      throw godwitError('GODWIT_HOST_LACKS', { what });
    }
    const { images } = session.disks;
    const plan = await planSeeding(config, seeding, ledger.state.bases, images, signal);
    const { bases, directories, checks } = plan;
    await ledger.record({ type: 'seeding', bases: [...bases], directories: [...directories] });
    const targets: BackingTarget[] = [];
    for (const target of await this.#targets(ledger.state)) {
      if (!(await isNamed(target.made))) targets.push(target);
    }
    const send = targets.map(({ node }) => node);
    if (send.length === 0) return { checks: [...checks], send };
    await makeDirectories(ledger.state.directories);
    const tunnel = await this.#take(ledger.state, targets, seeding.linkGraceMs);
    return { checks: [...checks], send, tunnel };
  }

  async #take(
    { admission }: DestinationState,
    backingFiles: readonly BackingTarget[],
    graceMs: number,
  ): Promise<DiskTunnel> {
    const { config, log } = this.#context;
    const { from, guest } = admission;
    // No hypervisor connects over this session, so nothing listens there.
    const socket = path.join(config.stateDir, 'guests', guest, 'bases.sock');
    const { BackingFileTaker: Taker } = await import('../../../../disks/backing/take.ts');
    const { tunnel, session } = await openTunnel(this.#context, admission, graceMs, socket);
    const { beside } = tunnel;
    const taker = new Taker({ beside, host: config.name, guest, peer: from, backingFiles });
    const taking: Taking = { tunnel, taker };
    this.#taking = taking;
    taker.whole.catch((thrown: unknown) => {
      if (taking.stopped !== undefined) return;
      log.warn({ error: toGodwitError(thrown) }, 'a backing file was not taken');
    });
    const over = (why: Error): void => void stopTaking(taking, why);
    tunnel.ended.then(() => over(new Error('the session is closed')), over);
    return { address: tunnel.address, session };
  }

  /** Stops receiving; incomplete files are removed when this resolves. */
  async stop(why: string): Promise<void> {
    const taking = this.#taking;
    if (taking === undefined) return;
    const error = new Error(why);
    taking.tunnel.abort(error);
    await stopTaking(taking, error);
  }

  /** Hands them over to the guest. Repeatable. */
  async keep(state: DestinationState): Promise<void> {
    for (const { made } of await this.#targets(state)) await keep(made);
  }

  /** Removes them, after `stop` and once no hypervisor has them open. Repeatable. */
  async discard(state: DestinationState): Promise<void> {
    for (const { made } of await this.#targets(state)) await discard(made);
    await removeDirectories(state.directories);
  }

  /** Files made here, from the journal alone. */
  async #targets({ bases, admission }: DestinationState): Promise<BackingTarget[]> {
    const pools = await openPools(this.#context.config.storage);
    return bases.flatMap(({ node, pool: id, path: part, bytes, sha256, made }, index) => {
      const pool = pools.find((each) => each.id === id);
      if (!made || pool === undefined) return [];
      const names = madeNames(path.join(pool.root, part), admission.id, `b${index}`);
      return [{ node, bytes, sha256, made: names }];
    });
  }
}

/** Runs once, so that a restarted file is not removed. */
function stopTaking(taking: Taking, why: Error): Promise<void> {
  taking.stopped ??= taking.taker.stop(why);
  return taking.stopped;
}
