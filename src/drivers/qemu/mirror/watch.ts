import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { PIECE_BYTES } from '../../../protocol/peer/disk-check.ts';
import type { DiskWatch } from '../../../port/disks.ts';
import type { QmpClient } from '../qmp/client.ts';

/**
 * One bitmap records the guest's writes. The other is a copy of one moment, because an exported bitmap may not
 * change.
 */
const WRITTEN = 'godwit-written';
const UNTIL_NOW = 'godwit-until-now';
const PREFIX = 'godwit-view-';
const END_MS = 15_000;
const POLL_MS = 5;

const word = z.string().max(1024);
const exports = z
  .array(z.object({ id: word, 'shutting-down': z.boolean().default(false) }))
  .max(4096);
const nodesWithBitmaps = z
  .array(
    z.object({
      'node-name': word.default(''),
      'dirty-bitmaps': z
        .array(z.object({ name: word.optional() }))
        .max(4096)
        .default([]),
    }),
  )
  .max(16_384);

export class QemuDiskWatch implements DiskWatch {
  readonly #guest: string;
  readonly #client: (signal: AbortSignal) => Promise<QmpClient | undefined>;

  constructor(guest: string, client: (signal: AbortSignal) => Promise<QmpClient | undefined>) {
    this.#guest = guest;
    this.#client = client;
  }

  async begin(nodes: readonly string[], signal: AbortSignal): Promise<void> {
    const client = await this.#client(signal).catch(() => undefined);
    if (client === undefined) return;
    const made = nodes.map((node) => {
      const bitmap = { node, name: WRITTEN, granularity: PIECE_BYTES, persistent: false };
      return client.request('block-dirty-bitmap-add', bitmap, signal);
    });
    await Promise.allSettled(made);
  }

  async view(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void> {
    const client = await this.#mustHave(signal);
    const there = await stat(socket).then(
      (info) => info.isSocket(),
      () => false,
    );
    const addr = { type: 'unix', data: { path: socket } };
    const answer = await client.request(
      'nbd-server-start',
      { addr, 'max-connections': 64 },
      signal,
    );
    if (!answer.ok && !(there && /already running/.test(answer.reason))) {
      throw client.refused('nbd-server-start', answer.reason);
    }
    const known = await client.query('query-block-exports', {}, exports, signal);
    for (const node of nodes) {
      const id = viewId(node);
      if (known.some((each) => each.id === id)) continue;
      const offer = { type: 'nbd', id, 'node-name': node, name: node, writable: false };
      await client.execute('block-export-add', offer, signal);
    }
  }

  async account(
    node: string,
    signal: AbortSignal,
  ): Promise<{ readonly export: string; readonly bitmap: string }> {
    const client = await this.#mustHave(signal);
    const name = `${node}#`;
    await this.#unexport(client, ({ id }) => id === viewId(name), signal);
    await client.request('block-dirty-bitmap-remove', { node, name: UNTIL_NOW }, signal);
    const copy = { granularity: PIECE_BYTES, persistent: false, disabled: true };
    // QEMU completes every started write before a transaction.
    const actions = [
      { type: 'block-dirty-bitmap-add', data: { node, name: UNTIL_NOW, ...copy } },
      {
        type: 'block-dirty-bitmap-merge',
        data: { node, target: UNTIL_NOW, bitmaps: [WRITTEN] },
      },
    ];
    await client.execute('transaction', { actions }, signal);
    const offer = { type: 'nbd', id: viewId(name), 'node-name': node, name, writable: false };
    await client.execute('block-export-add', { ...offer, bitmaps: [UNTIL_NOW] }, signal);
    return { export: name, bitmap: UNTIL_NOW };
  }

  async end(signal: AbortSignal): Promise<void> {
    const client = await this.#client(signal);
    if (client === undefined) return;
    if (await this.#unexport(client, ({ id }) => id.startsWith(PREFIX), signal)) {
      await client.request('nbd-server-stop', {}, signal);
    }
    const all = { flat: true };
    const nodes = await client.query('query-named-block-nodes', all, nodesWithBitmaps, signal);
    for (const { 'node-name': node, 'dirty-bitmaps': bitmaps } of nodes) {
      for (const { name = '' } of bitmaps) {
        if (name !== WRITTEN && name !== UNTIL_NOW) continue;
        await client.request('block-dirty-bitmap-remove', { node, name }, signal);
      }
    }
  }

  #unexport(
    client: QmpClient,
    isIt: (each: { readonly id: string }) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    return withDeadline('closing exports that only read', END_MS, signal, async (inner) => {
      for (let found = false; ; found = true) {
        const all = await client.query('query-block-exports', {}, exports, inner);
        const ours = all.filter(isIt);
        if (ours.length === 0) return found;
        for (const { id, 'shutting-down': ends } of ours) {
          if (!ends) await client.request('block-export-del', { id, mode: 'hard' }, inner);
        }
        await systemClock.sleep(POLL_MS, inner);
      }
    });
  }

  async #mustHave(signal: AbortSignal): Promise<QmpClient> {
    const client = await this.#client(signal);
    if (client !== undefined) return client;
    const reason = 'it has ended';
    const facts = { side: 'destination', guest: this.#guest, reason };
    throw godwitError('GODWIT_HYPERVISOR_LOST', facts);
  }
}

function viewId(node: string): string {
  return PREFIX + createHash('sha256').update(node).digest('hex').slice(0, 16);
}
