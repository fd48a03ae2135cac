import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import {
  identityOf,
  inodesOf,
  openFiles,
  type OpenFile,
} from '../../../system/files/open-files.ts';
import { isDevice, judgeIdentity } from '../../../migration/image-identity.ts';
import type { ImageStamp } from '../../../migration/standby/image-stamps.ts';
import { nodeName } from '../../../protocol/disk.ts';
import { MAX_STAMPS } from '../../../protocol/peer/standby.ts';
import type { GuestLayout } from '../../../port/inventory.ts';
import * as answers from '../qmp/answers.ts';
import type { QemuHandle } from '../handle.ts';
import type { QmpClient } from '../qmp/client.ts';
import { connectMonitor, type MonitorAddress } from '../qmp/connect.ts';

/** Another client may hold the monitor: the next look tries again. */
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

/** The guest is leaving or has left, and may run elsewhere with other disks. */
const NOT_HERE: ReadonlySet<string> = new Set([
  'inmigrate',
  'finish-migrate',
  'postmigrate',
  'shutdown',
]);

/**
 * Basis of a guest's description: its process, block graph and devices. Events do not show every change: an
 * external snapshot and a hot-plugged device emit none, and a monitor serves one client at a time. Uses seven
 * queries that do not delay the guest. Changes nothing.
 */
export async function layoutOf(
  client: QmpClient,
  { pid, startTicks, bootId }: Pick<QemuHandle, 'pid' | 'startTicks' | 'bootId'>,
  signal: AbortSignal,
): Promise<GuestLayout> {
  const { status } = await client.query('query-status', {}, answers.runStatus, signal);
  if (NOT_HERE.has(status)) throw new Error(`its run state is ${status}`);
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
  const digest = createHash('sha256')
    .update(JSON.stringify([process, parts, sizes]))
    .digest('hex');
  const read = graph.filter(({ ro, file }) => ro && file.startsWith('/'));
  const files = new Map(read.map((each) => [each['node-name'], each.file]));
  const images = await stampsOf(pid, files).catch((): ImageStamp[] => []);
  return { digest, images };
}

async function stampsOf(pid: number, files: ReadonlyMap<string, string>): Promise<ImageStamp[]> {
  if (files.size === 0) return [];
  const opened = await openFiles({ pid }, await inodesOf([...files.values()]));
  const stamps: ImageStamp[] = [];
  for (const [node, file] of files) {
    const there = await identityOf(file);
    const isThis = ({ id }: OpenFile): boolean => judgeIdentity(id, there, true) === 'same';
    const found = there === undefined || isDevice(there) ? undefined : opened.find(isThis);
    // QEMU names an unnamed node `#block123`; the description names such nodes differently.
    const isNamed = nodeName.safeParse(node).success;
    if (found === undefined || stamps.length >= MAX_STAMPS || !isNamed) continue;
    const info = await stat(`/proc/${pid}/fd/${found.fd}`, { bigint: true });
    stamps.push({ node, bytes: Number(info.size), writtenNs: String(info.mtimeNs) });
  }
  return stamps;
}

export async function readLayout(
  monitor: MonitorAddress,
  handle: QemuHandle,
  signal: AbortSignal,
): Promise<GuestLayout> {
  const client = await connectMonitor(monitor, GREETING_MS, signal);
  try {
    return await layoutOf(client, handle, signal);
  } finally {
    client.close();
  }
}
