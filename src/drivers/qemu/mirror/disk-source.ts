import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import type { DiskSample, DiskSource, Identifier } from '../../../port/disks.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import {
  WHOLE_MARK,
  blockJobs,
  copyName,
  goesOn,
  isCopyName,
  judge,
  moveFor,
  type BlockJob,
} from './jobs.ts';
import { isChipNode } from '../spec/flash.ts';
import type { LiveNodes } from './live-nodes.ts';
import { probeServer } from './probe.ts';
import { QemuRequestCounter } from './request-counter.ts';

/**
 * Size of a dirty-bitmap unit. It equals the default qcow2 cluster, so that a small write costs one cluster and
 * not a request per sector.
 */
const GRANULARITY = 64 * 1024;
/** QEMU has at most 16 requests of 1 MiB in flight per job; less would leave a long link idle. */
const BUFFER_BYTES = 16 * 1024 ** 2;
/**
 * A request without a connection fails at once. That stops the job, which keeps its remaining work, and the
 * guest's writes never wait for a reconnect.
 */
const RECONNECT_S = 0;
/** QEMU's main loop blocks while it connects; the path was tested just before. */
const OPEN_S = 2;
/** QEMU waits up to 16 s between attempts to reconnect. */
const TAKEN_UP_MS = 25_000;
const TAKEN_UP_POLL_MS = 50;
const DROP_MS = 15_000;
const ENDED = 'its copy has ended, and nothing has followed the guest’s writes since';
const POLL_MS = 2;
/** A broken connection is noticed at the last request and renewed for the next. */
const END_AGAIN_MS = 1000;

const nodes = z.array(z.object({ 'node-name': z.string().max(1024).default('') })).max(16_384);
interface MirrorSnapshot {
  readonly jobs: ReadonlyMap<string, BlockJob>;
  readonly nodes: ReadonlySet<string>;
}

/** Copies a running QEMU's disks with `blockdev-mirror` into another QEMU's exports. All state is in QEMU. */
export class QemuDiskSource implements DiskSource {
  readonly images: Identifier;
  readonly requests: QemuRequestCounter;
  readonly #guest: string;
  readonly #client: QmpClient;
  readonly #liveNodes: LiveNodes;

  constructor(guest: string, client: QmpClient, images: Identifier, liveNodes: LiveNodes) {
    this.images = images;
    this.requests = new QemuRequestCounter(client, liveNodes);
    this.#guest = guest;
    this.#client = client;
    this.#liveNodes = liveNodes;
  }

  async start(wanted: readonly string[], socket: string, signal: AbortSignal): Promise<void> {
    const seen = await this.#look(signal);
    const moves = wanted
      .map((node) => ({ node, name: copyName(node) }))
      .map((each) => {
        const move = moveFor(seen.jobs.get(each.name), seen.nodes.has(each.name));
        return { ...each, move };
      });
    for (const { node, name, move } of moves) {
      if (move !== 'refuse') continue;
      throw this.#failed(node, judge(node, seen.jobs.get(name), false).failure?.reason);
    }
    if (seen.nodes.has(WHOLE_MARK)) throw this.#failed(wanted[0] ?? '');
    const due = moves.filter(({ move }) => move !== 'leave');
    const [first] = due;
    if (first === undefined) return;
    await probeServer(socket, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw this.#failed(first.node, `the destination cannot be reached (${reason})`, cause);
    });
    const fresh = due.filter(({ move }) => move !== 'resume');
    const live = fresh.length === 0 ? undefined : await this.#liveNodes(signal);
    for (const { node, name, move } of fresh) {
      if (move === 'begin-over') await this.#remove(name, signal);
      if (live?.has(node) !== true) throw this.#failed(node, 'the guest has no such disk');
      await this.#connect(node, socket, signal);
    }
    // Copies start only after all disks are connected: on a thin link, the data of one would make another's
    // connect time out.
    for (const { node } of fresh) await this.#copy(node, live?.get(node), signal);
    const standing = due.filter(({ move }) => move === 'resume').map(({ name }) => name);
    if (standing.length > 0) await this.#takeUp(standing, seen, signal);
  }

  async sample(wanted: readonly string[], signal: AbortSignal): Promise<DiskSample[]> {
    return this.#judge(wanted, await this.#look(signal));
  }

  async limit(
    wanted: readonly string[],
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { jobs } = await this.#look(signal);
    const speed = bytesPerS === undefined ? 0 : Math.max(1, Math.round(bytesPerS));
    for (const name of wanted.map(copyName)) {
      const job = jobs.get(name);
      if (job === undefined || job.status === 'concluded') continue;
      await this.#client.execute('block-job-set-speed', { device: name, speed }, signal);
    }
  }

  async setWriteBlocking(wanted: readonly string[], signal: AbortSignal): Promise<boolean> {
    // QEMU's main loop writes to a firmware chip: it and the monitor would stall with the link.
    const disks = wanted.filter((node) => !isChipNode(node));
    for (const id of disks.map(copyName)) {
      const change = { id, type: 'mirror', 'copy-mode': 'write-blocking' };
      const answer = await this.#client.request('block-job-change', change, signal);
      if (!answer.ok && answer.errorClass === 'CommandNotFound') return false;
      if (!answer.ok) throw this.#client.refused('block-job-change', answer.reason);
    }
    return true;
  }

  async finish(wanted: readonly string[], signal: AbortSignal): Promise<void> {
    const [seen, status] = await Promise.all([
      this.#look(signal),
      this.#client.query('query-status', {}, answers.runStatus, signal),
    ]);
    if (status.running) {
      throw this.#failed(wanted[0] ?? '', 'the guest still writes, so no copy of it can be whole');
    }
    let { jobs } = seen;
    const orders: Promise<unknown>[] = [];
    if (!seen.nodes.has(WHOLE_MARK)) {
      this.#assertEndable(wanted, seen);
      ({ jobs } = await this.#end(wanted, signal));
      // Set before any release: from here on a copy without a job is complete.
      const mark = { driver: 'null-co', 'node-name': WHOLE_MARK, size: 512, 'read-only': true };
      orders.push(this.#client.execute('blockdev-add', mark, signal));
    }
    // Connections stay until the guest leaves, or until `drop`: closing one costs a round trip, and QEMU has
    // already made the other side flush. Orders are sent at once, since QEMU executes them in turn and each
    // answer is awaited.
    for (const id of wanted.map(copyName).filter((name) => jobs.has(name))) {
      orders.push(this.#client.execute('job-dismiss', { id }, signal));
    }
    await Promise.all(orders);
  }

  async drop(signal: AbortSignal): Promise<void> {
    await withDeadline('ending the copies of disks', DROP_MS, signal, async (inner) => {
      for (;;) {
        const { jobs } = await this.#look(inner);
        if (jobs.size === 0) break;
        for (const [device, { status }] of jobs) {
          // Refused if the job has advanced meanwhile; the next look reports it.
          if (status === 'concluded')
            await this.#client.request('job-dismiss', { id: device }, inner);
          else await this.#client.request('block-job-cancel', { device, force: true }, inner);
        }
        await systemClock.sleep(POLL_MS, inner);
      }
      const { nodes: left } = await this.#look(inner);
      for (const name of left) await this.#remove(name, inner);
    });
  }

  async #look(signal: AbortSignal): Promise<MirrorSnapshot> {
    const [jobs, all] = await Promise.all([
      this.#client.query('query-block-jobs', {}, blockJobs, signal),
      this.#client.query('query-named-block-nodes', { flat: true }, nodes, signal),
    ]);
    const names = all.map((each) => each['node-name']);
    return {
      jobs: new Map(
        jobs.filter(({ device }) => isCopyName(device)).map((job) => [job.device, job]),
      ),
      nodes: new Set(names.filter((name) => isCopyName(name) || name === WHOLE_MARK)),
    };
  }

  #judge(wanted: readonly string[], seen: MirrorSnapshot): DiskSample[] {
    const whole = seen.nodes.has(WHOLE_MARK);
    return wanted.map((node) => judge(node, seen.jobs.get(copyName(node)), whole));
  }

  async #connect(node: string, socket: string, signal: AbortSignal): Promise<void> {
    const connection = {
      driver: 'nbd',
      'node-name': copyName(node),
      server: { type: 'unix', path: socket },
      export: node,
      'reconnect-delay': RECONNECT_S,
      'open-timeout': OPEN_S,
      // Zeroes here may become a hole there, even if they are read as data: a block device reports no holes.
      discard: 'unmap',
      'detect-zeroes': 'unmap',
    };
    await this.#client.execute('blockdev-add', connection, signal);
  }

  async #copy(node: string, live: string | undefined, signal: AbortSignal): Promise<void> {
    const name = copyName(node);
    const copy = {
      'job-id': name,
      device: live,
      target: name,
      // The target is empty and has the same backing file, so unallocated parts are already equal.
      sync: 'top',
      'copy-mode': 'background',
      granularity: GRANULARITY,
      'buf-size': BUFFER_BYTES,
      // An unreadable block stays unreadable, but a destination may return.
      'on-source-error': 'report',
      'on-target-error': 'stop',
      'auto-finalize': true,
      'auto-dismiss': false,
    };
    try {
      await this.#client.execute('blockdev-mirror', copy, signal);
    } catch (error) {
      await this.#remove(name, signal).catch(() => undefined);
      throw error;
    }
  }

  /** QEMU reconnects in the background; until then, each resumed job fails again. */
  async #takeUp(
    names: readonly string[],
    before: MirrorSnapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const offsets = new Map(names.map((name) => [name, before.jobs.get(name)?.offset ?? 0]));
    await withDeadline('taking up the copies of disks', TAKEN_UP_MS, signal, async (inner) => {
      for (;;) {
        const { jobs } = await this.#look(inner);
        const standing = names.filter((name) => moveFor(jobs.get(name), true) === 'resume');
        for (const device of standing) {
          await this.#client.request('block-job-resume', { device }, inner);
        }
        await systemClock.sleep(TAKEN_UP_POLL_MS, inner);
        const { jobs: after } = await this.#look(inner);
        if (names.every((name) => goesOn(after.get(name), offsets.get(name) ?? 0))) return;
      }
    });
  }

  #assertEndable(wanted: readonly string[], seen: MirrorSnapshot): void {
    for (const { node, state, failure } of this.#judge(wanted, seen)) {
      if (state === 'ready' || state === 'whole') continue;
      throw this.#failed(node, failure?.reason ?? `it is ${state} and not yet ready`);
    }
  }

  /** A ready job ends by itself once the target has everything, if it is cancelled without force. */
  async #end(wanted: readonly string[], signal: AbortSignal): Promise<MirrorSnapshot> {
    for (const device of wanted.map(copyName)) {
      await this.#client.request('block-job-cancel', { device, force: false }, signal);
    }
    const start = systemClock.monotonicMs();
    for (;;) {
      const seen = await this.#look(signal);
      const samples = this.#judge(wanted, seen);
      const cut = samples.filter(({ failure }) => failure?.kind === 'target');
      if (cut.length > 0 && systemClock.monotonicMs() - start < END_AGAIN_MS) {
        for (const device of cut.map(({ node }) => copyName(node))) {
          await this.#client.request('block-job-resume', { device }, signal);
        }
      } else this.#assertEndable(wanted, seen);
      if (samples.every(({ state }) => state === 'whole')) return seen;
      await systemClock.sleep(POLL_MS, signal);
    }
  }

  async #remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#client.execute('blockdev-del', { 'node-name': name }, signal);
  }

  #failed(device: string, reason = ENDED, cause?: unknown): Error {
    return godwitError('GODWIT_DISK_FAILED', { guest: this.#guest, device, reason }, { cause });
  }
}
