import { truncate } from 'node:fs/promises';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { identifyOpen } from '../../../system/files/open-files.ts';
import type { DiskRelocator, GuestDisk, RelocationSight } from '../../../port/disks.ts';

import { readFacts } from '../guest/facts.ts';
import { processOf } from '../guest/process.ts';
import { concluded } from '../images/make-image.ts';
import type { QmpClient } from '../qmp/client.ts';
import { blockJobs } from './jobs.ts';
import {
  filterOf,
  headerOf,
  makerOf,
  nodesOf,
  opensAsFilled,
  readWork,
  relocatable,
  sightOf,
  type RelocationWork,
} from './relocate-plan.ts';
import type { QemuHandle } from '../handle.ts';

const GRANULARITY = 64 * 1024;
const BUFFER_BYTES = 16 * 1024 ** 2;
const DROP_MS = 15_000;
const POLL_MS = 5;

const word = z.string().max(65_536);
const named = z.array(z.object({ 'node-name': word.default('') })).max(16_384);
const devices = z
  .array(
    z.object({
      device: word.default(''),
      qdev: word.optional(),
      inserted: z.object({ 'node-name': word.optional() }).optional(),
    }),
  )
  .max(4096);

/** Moves a disk with `blockdev-mirror` between images of the same QEMU. All state is in QEMU. */
export class QemuRelocator implements DiskRelocator {
  readonly #handle: QemuHandle;
  readonly #client: QmpClient;
  readonly #host: string;

  constructor(handle: QemuHandle, client: QmpClient, host: string) {
    this.#handle = handle;
    this.#client = client;
    this.#host = host;
  }

  async disks(signal: AbortSignal): Promise<GuestDisk[]> {
    const process = await processOf(this.#handle, this.#host);
    const disks = relocatable(await readFacts(this.#client, process, signal));
    const images = disks
      .filter(({ work }) => work !== undefined)
      .map(({ name, file }) => ({ node: name, device: name, file }));
    // If the process may not be inspected, the old image is kept.
    const seen = await identifyOpen(this.#handle.pid, images).catch(() => undefined);
    return disks.map((disk) => {
      const identity = seen?.identities.get(disk.name);
      return identity === undefined ? disk : { ...disk, identity };
    });
  }

  async begin(
    given: unknown,
    file: string,
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const work = readWork(given);
    await this.#drop(work, signal);
    const header = headerOf(work);
    if (work.spec.format === 'raw') await truncate(file, work.bytes);
    const [opened, layered] = nodesOf(work, file, 'filling');
    await this.#client.execute('blockdev-add', opened ?? {}, signal);
    if (header !== undefined) await this.#make(work, header, signal);
    if (layered !== undefined) await this.#client.execute('blockdev-add', layered, signal);
    const { node } = work.spec;
    const job = {
      'job-id': node,
      device: work.old,
      target: node,
      'filter-node-name': filterOf(work),
      // The new image is empty and has the same backing file, so parts unallocated in the old one are already
      // equal.
      sync: 'top',
      'copy-mode': 'background',
      granularity: GRANULARITY,
      'buf-size': BUFFER_BYTES,
      speed: bytesPerS === undefined ? 0 : Math.max(1, Math.round(bytesPerS)),
      'on-source-error': 'report',
      // The guest's writes never fail for the copy: the job ends and the guest keeps the old image.
      'on-target-error': 'report',
      // A record must be written between the time when both are equal and the switch.
      'auto-finalize': false,
      'auto-dismiss': false,
    };
    await this.#client.execute('blockdev-mirror', job, signal);
  }

  async look(given: unknown, signal: AbortSignal): Promise<RelocationSight> {
    return this.#look(readWork(given), signal);
  }

  async countJobs(signal: AbortSignal): Promise<number> {
    const jobs = await this.#client.query('query-block-jobs', {}, blockJobs, signal);
    return jobs.filter(({ status }) => status !== 'concluded').length;
  }

  async setWriteBlocking(given: unknown, signal: AbortSignal): Promise<void> {
    const { node: id } = readWork(given).spec;
    const change = { id, type: 'mirror', 'copy-mode': 'write-blocking' };
    const answer = await this.#client.request('block-job-change', change, signal);
    // Before QEMU 8.2: the job ends at the guest's next pause in writing.
    if (answer.ok || answer.errorClass === 'CommandNotFound') return;
    throw this.#client.refused('block-job-change', answer.reason);
  }

  async complete(given: unknown, signal: AbortSignal): Promise<void> {
    const { node: id } = readWork(given).spec;
    await this.#client.execute('job-complete', { id }, signal);
  }

  async finalize(given: unknown, signal: AbortSignal): Promise<void> {
    const { node: id } = readWork(given).spec;
    await this.#client.execute('job-finalize', { id }, signal);
  }

  async settle(given: unknown, file: string, signal: AbortSignal): Promise<string[]> {
    const work = readWork(given);
    const { node } = work.spec;
    const notes: string[] = [];
    const { on, job } = await this.#look(work, signal);
    if (on !== 'new')
      throw godwitError('GODWIT_INTERNAL', { what: 'a disk that is not yet moved' });
    if (job !== 'none') await this.#client.execute('job-dismiss', { id: node }, signal);
    await this.#remove([work.old, work.oldFile], signal);
    const left = await this.#nodes(signal);
    if (left.has(work.old)) notes.push(`its hypervisor still has the old image open (${work.old})`);
    if (!opensAsFilled(work)) {
      const options = nodesOf(work, file, 'as-given');
      const answer = await this.#client.request('blockdev-reopen', { options }, signal);
      if (!answer.ok) notes.push(`it now passes the guest’s discards on (${answer.reason})`);
    }
    return notes;
  }

  async drop(given: unknown, signal: AbortSignal): Promise<void> {
    await this.#drop(readWork(given), signal);
  }

  async #drop(work: RelocationWork, signal: AbortSignal): Promise<void> {
    const { node, file } = work.spec;
    await withDeadline('ending the move of a disk', DROP_MS, signal, async (inner) => {
      for (;;) {
        const { job, on } = await this.#look(work, inner);
        if (on === 'new') throw godwitError('GODWIT_INTERNAL', { what: 'a disk that is moved' });
        if (job === 'none') break;
        // Refused if the job has advanced meanwhile; the next look reports it.
        if (job === 'ended' || job === 'failed') {
          await this.#client.request('job-dismiss', { id: node }, inner);
        } else {
          await this.#client.request('block-job-cancel', { device: node, force: true }, inner);
        }
        await systemClock.sleep(POLL_MS, inner);
      }
      await this.#client.request('job-cancel', { id: makerOf(work) }, inner);
      await this.#client.request('job-dismiss', { id: makerOf(work) }, inner);
      await this.#remove([node, file ?? node], inner);
      const left = await this.#nodes(inner);
      if ([node, file ?? node].some((name) => left.has(name))) {
        throw this.#client.refused('blockdev-del', `${node} is in use`);
      }
    });
  }

  async #make(work: RelocationWork, options: object, signal: AbortSignal): Promise<void> {
    const id = makerOf(work);
    await this.#client.execute('blockdev-create', { 'job-id': id, options }, signal);
    await concluded(this.#client, id, signal);
    await this.#client.execute('job-dismiss', { id }, signal);
  }

  async #look(work: RelocationWork, signal: AbortSignal): Promise<RelocationSight> {
    const [jobs, names, all] = await Promise.all([
      this.#client.query('query-block-jobs', {}, blockJobs, signal),
      this.#nodes(signal),
      this.#client.query('query-block', {}, devices, signal),
    ]);
    const { drive, qdev, spec } = work;
    const device = all.find((each) => {
      return drive === '' ? each.qdev === qdev : each.device === drive;
    });
    const job = jobs.find((each) => each.device === spec.node);
    return sightOf(work, device?.inserted?.['node-name'], job, names);
  }

  async #nodes(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const all = await this.#client.query('query-named-block-nodes', { flat: true }, named, signal);
    return new Set(all.map((each) => each['node-name']));
  }

  /** Removes existing nodes from top to bottom; QEMU removes an implicit node with its parent. */
  async #remove(names: readonly string[], signal: AbortSignal): Promise<void> {
    for (const name of new Set(names)) {
      await this.#client.request('blockdev-del', { 'node-name': name }, signal);
    }
  }
}
