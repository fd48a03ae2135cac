import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { BackingFileProgress, BackingSource } from '../../../../disks/backing/send.ts';
import type { Tunnel } from '../../../../disks/copy/tunnel/open.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../../../errors.ts';
import { openIdentified, pathOf } from '../../../../system/files/identified-file.ts';
import type { Log } from '../../../../log.ts';
import type { FileIdentity } from '../../../../migration/image-identity.ts';
import { worthReporting } from '../../../../migration/report/disks.ts';
import type { StepFacts } from '../../../../migration/direct/source/source-state.ts';
import type { BackingFile } from '../../../../protocol/peer/backing-file.ts';
import type { DiskProgress } from '../../../../protocol/disk.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import type { DiskTunnel } from '../../../../protocol/peer/migration.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import { openPools, resolveIn } from '../../../../disks/proof/pools.ts';
import { ask, preparation, type MoverParts } from '../source-base.ts';
import type { TimedCap } from '../stream/timed-cap.ts';
import { openTunnel } from './tunnel.ts';

type Dependencies = Pick<
  MoverParts,
  'config' | 'request' | 'dir' | 'guest' | 'peer' | 'state' | 'dispatch'
> & { readonly timedCap: Pick<TimedCap, 'saw'> };

const CLOSE_MS = 2000;
const MAX_SESSIONS = 8;
const MAX_REPORTED = 64;

type BackingHere = BackingFile & {
  readonly file: string;
  readonly identity: FileIdentity | undefined;
};

/** Read-only images that the hosts do not share: found at the destination, or sent. */
export class SourceBackingFiles {
  readonly #deps: Dependencies;
  readonly #log: Log;
  #tunnel: Tunnel | undefined;
  #mover: string | undefined;
  #progress = new Map<string, DiskProgress>();
  #recorded: readonly DiskProgress[] = [];

  constructor(deps: Dependencies, log: Log) {
    this.#deps = deps;
    this.#log = log;
  }

  /** The session repairs cut links by itself for a while. */
  get isOpen(): boolean {
    return this.#tunnel !== undefined;
  }

  /** Resolves once each image is at the destination, verified by hash. Repeatable. */
  async seed(signal: AbortSignal): Promise<StepFacts> {
    const backingFiles = await identifyBackingFiles(this.#deps, this.#deps.state().known, signal);
    const sent = new Map<string, number>();
    for (let sessions = 1; ; sessions += 1) {
      const offered = await this.#offer(backingFiles, signal);
      if (offered.tunnel === undefined)
        return { checks: [...offered.checks, ...recorded(backingFiles, sent)] };
      const due = backingFiles.filter(({ node }) => offered.send.includes(node));
      const why = await this.#send(offered.tunnel, due, sent, signal);
      if (why === undefined)
        return { checks: [...offered.checks, ...recorded(backingFiles, sent)] };
      if (sessions === MAX_SESSIONS) throw why;
      this.#log.warn({ error: toGodwitError(why) }, 'the session of the backing files is over');
    }
  }

  /** A replaced mover of the destination does not know this session. */
  mind(moverAddress: string | undefined): void {
    if (this.#tunnel === undefined || moverAddress === this.#mover) return;
    this.#tunnel.abort(new Error('another mover works at the destination'));
  }

  /** Cap from now on, bytes/s; undefined: none. */
  limit(bytesPerS: number | undefined): void {
    this.#tunnel?.limit(bytesPerS);
  }

  abort(why: string): void {
    this.#tunnel?.abort(new Error(why));
    this.#tunnel = undefined;
  }

  async #offer(backingFiles: readonly BackingHere[], signal: AbortSignal) {
    const { settings } = this.#deps.state().plan;
    const linkGraceMs = settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS;
    const images = backingFiles.map(({ file: _, identity: _own, ...backing }) => backing);
    const body = { ...preparation(this.#deps), bases: images, linkGraceMs };
    // It reads whole images to compare them, so it gets the step's time.
    const limits = { signal, deadlineMs: settings.timeoutMs };
    return ask(this.#deps, signal, async (api, route) => {
      const answer = await api.bases({ body }, limits);
      const { tunnel } = answer;
      if (tunnel === undefined) return answer;
      return { ...answer, tunnel: { ...tunnel, address: route(tunnel.address) } };
    });
  }

  /** Resolves with the reason why the session ended early. */
  async #send(
    offered: DiskTunnel,
    backingFiles: readonly BackingHere[],
    sent: Map<string, number>,
    signal: AbortSignal,
  ): Promise<Error | undefined> {
    const socket = path.join(this.#deps.dir, 'bases.sock');
    let over: Error | undefined;
    let tunnel: Tunnel;
    try {
      tunnel = await openTunnel(this.#deps, offered, socket, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      return toGodwitError(thrown);
    }
    const isOver = (thrown: unknown): void => void (over = toGodwitError(thrown));
    tunnel.ended.then(() => isOver(new Error('it was closed')), isOver);
    this.#tunnel = tunnel;
    this.#mover = this.#deps.peer.moverAddress;
    try {
      const { BackingFileSender } = await import('../../../../disks/backing/send.ts');
      const { guest } = this.#deps.request.request;
      const progress = (each: BackingFileProgress): void => {
        this.#note(each, sent);
        // Fails after the step has ended, when nothing needs to be set.
        this.#deps.timedCap.saw(signal).catch(() => undefined);
      };
      const sender = new BackingFileSender({
        tunnel,
        guest,
        peer: this.#deps.request.toHost,
        progress,
      });
      for (const { node, bytes } of backingFiles) {
        this.#report({ node, state: 'copying', copiedBytes: 0, totalBytes: bytes });
      }
      for (const backing of backingFiles) {
        await sender.send(backing satisfies BackingSource, signal);
        const { node, bytes } = backing;
        this.#report({ node, state: 'whole', copiedBytes: bytes, totalBytes: bytes });
      }
      await tunnel.close(CLOSE_MS);
      return undefined;
    } catch (thrown) {
      tunnel.abort(toGodwitError(thrown));
      signal.throwIfAborted();
      if (over === undefined) throw thrown;
      return over;
    } finally {
      this.#tunnel = undefined;
      await rm(socket, { force: true });
    }
  }

  #note({ node, ...at }: BackingFileProgress, sent: Map<string, number>): void {
    sent.set(node, at.sentBytes);
    const { doneBytes: copiedBytes, totalBytes } = at;
    this.#report({ node, state: 'copying', copiedBytes, totalBytes });
  }

  #report(progress: DiskProgress): void {
    this.#progress.set(progress.node, progress);
    const disks = [...this.#progress.values()].slice(0, MAX_REPORTED);
    if (!worthReporting(this.#recorded, disks)) return;
    this.#recorded = disks;
    this.#deps.dispatch({ type: 'copied', disks });
  }
}

/** Hashes their content. Hashes are cached, so only the first look is slow. */
export async function identifyBackingFiles(
  { config, guest, request }: Pick<MoverParts, 'config' | 'guest' | 'request'>,
  { bases = [], identities = {} }: Pick<StepFacts, 'bases' | 'identities'>,
  signal: AbortSignal,
): Promise<BackingHere[]> {
  const pools = await openPools(config.storage);
  const { disks } = await guest.session(signal);
  const failed = (device: string, reason: string): GodwitError =>
    godwitError('GODWIT_DISK_FAILED', { guest: request.request.guest, device, reason });
  const backingFiles: BackingHere[] = [];
  for (const place of bases) {
    const pool = pools.find(({ id }) => id === place.pool);
    const found =
      pool === undefined
        ? { problem: 'its storage is gone' }
        : await resolveIn(pool, place.path, 'file');
    if ('problem' in found || disks === undefined) {
      throw failed(place.node, 'problem' in found ? found.problem : 'its driver cannot send it');
    }
    const file = found.found;
    const identity = identities[place.node];
    const handle = await openAs(file, identity).catch((thrown: unknown) => {
      throw failed(place.node, toGodwitError(thrown).message);
    });
    try {
      const { bytes, sha256 } = await disks.images.identify(pathOf(handle), signal);
      backingFiles.push({ ...place, bytes, sha256, file, identity });
    } finally {
      await handle.close();
    }
  }
  return backingFiles;
}

function openAs(file: string, identity: FileIdentity | undefined): Promise<FileHandle> {
  return identity === undefined ? open(file, 'r') : openIdentified(file, identity);
}

function recorded(
  backingFiles: readonly BackingHere[],
  sent: ReadonlyMap<string, number>,
): NamedCheck[] {
  return backingFiles.flatMap(({ node, bytes }): NamedCheck[] => {
    const sentBytes = sent.get(node);
    if (sentBytes === undefined) return [];
    const evidence = `${node}: ${formatBytes(sentBytes)} sent of a file of ${formatBytes(bytes)}`;
    return [{ name: 'disks', side: 'source', verdict: 'pass', evidence }];
  });
}
