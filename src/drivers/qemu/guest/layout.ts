import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as answers from '../qmp/answers.ts';
import type { QemuHandle } from '../handle.ts';
import type { QmpClient } from '../qmp/client.ts';
import { connectMonitor } from '../qmp/connect.ts';
import type { MonitorAddress } from '../qmp/connect.ts';

/** Another client may hold the monitor: the next look asks again. */
const GREETING_MS = 1000;

const text = z.string().max(65_536);
const nodes = z
  .array(
    z.object({
      'node-name': text.default(''),
      drv: text,
      file: text,
      ro: z.boolean(),
      image: z.object({ 'backing-filename': text.optional(), 'virtual-size': z.number() }),
    }),
  )
  .max(16_384);
const devices = z
  .array(
    z.object({
      device: text.default(''),
      qdev: text.optional(),
      inserted: z.object({ 'node-name': text.optional() }).optional(),
    }),
  )
  .max(4096);

/**
 * A digest of what a guest's description rests on: its process, which another start replaces, its block graph, and its devices.
 * Events do not show these changes: an external snapshot and a hot-plugged device emit none, and a block job's end is emitted
 * only to clients that are connected then. Six queries, none of which holds the guest up. Changes nothing.
 */
export async function digestOf(
  client: QmpClient,
  { pid, startTicks, bootId }: Pick<QemuHandle, 'pid' | 'startTicks' | 'bootId'>,
  signal: AbortSignal,
): Promise<string> {
  const children = (path: string) => client.query('qom-list', { path }, answers.qomList, signal);
  const [graph, drives, peripheral, anonymous, objects, memory] = await Promise.all([
    client.query('query-named-block-nodes', { flat: true }, nodes, signal),
    client.query('query-block', {}, devices, signal),
    children('/machine/peripheral'),
    children('/machine/peripheral-anon'),
    children('/objects'),
    client.query('query-memory-size-summary', {}, answers.memorySize, signal),
  ]);
  const parts = [
    graph.map((each) => [
      each['node-name'],
      each.drv,
      each.file,
      each.ro,
      each.image['backing-filename'] ?? '',
      each.image['virtual-size'],
    ]),
    drives.map(({ device, qdev = '', inserted }) => [device, qdev, inserted?.['node-name'] ?? '']),
    ...[peripheral, anonymous, objects].map((each) => each.map(({ name, type }) => [name, type])),
  ].map((each) => each.map((part) => JSON.stringify(part)).toSorted());
  const sizes = [memory['base-memory'], memory['plugged-memory']];
  const process = [pid, startTicks, bootId ?? ''];
  return createHash('sha256')
    .update(JSON.stringify([process, parts, sizes]))
    .digest('hex');
}

/** The same over a monitor that is held for these queries alone. */
export async function readLayout(
  monitor: MonitorAddress,
  handle: QemuHandle,
  signal: AbortSignal,
): Promise<string> {
  const client = await connectMonitor(monitor, GREETING_MS, signal);
  try {
    return await digestOf(client, handle, signal);
  } finally {
    client.close();
  }
}
