import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { runCommand } from '../lab/command.ts';
import type { Places } from './counterpart.ts';
import type { Monitor, QmpEvent } from '../lab/witness/monitor.ts';

/**
 * Disks as an administrator copies them who follows QEMU's documentation of live storage migration by blockdev-mirror:
 * empty images at the destination, its QEMU's NBD server with TLS, a mirror job each, and their end while the guest
 * is paused at pre-switchover. The jobs have the parameters that Godwit's have.
 */
export interface HandDisk {
  /** The source's block node. */
  readonly node: string;
  readonly file: string;
  /** Its image at the destination. */
  readonly target: string;
}

export interface NbdServer {
  readonly host: string;
  readonly port: number;
  /** As its certificate has it. */
  readonly name: string;
  /** The TLS credentials' id in both QEMUs. */
  readonly credentials: string;
}

interface Copies {
  readonly left: Monitor;
  readonly right: Monitor;
  readonly disks: readonly HandDisk[];
}

const READY_MS = 600_000;
const END_MS = 60_000;
const MIRROR = {
  sync: 'top',
  'copy-mode': 'background',
  granularity: 64 * 1024,
  'buf-size': 16 * 1024 ** 2,
  'on-target-error': 'stop',
};

const blocks = z.array(
  z.object({
    inserted: z
      .object({
        'node-name': z.string(),
        drv: z.enum(['raw', 'qcow2']),
        file: z.string(),
        image: z.object({ 'virtual-size': z.number() }),
      })
      .optional(),
  }),
);

/** The disks of the source's QEMU; makes an empty image for each where the destination's is to find it. */
export async function readHandDisks(
  left: Monitor,
  here: Places,
  there: Places,
  signal: AbortSignal,
): Promise<HandDisk[]> {
  const { storage = '' } = here;
  const disks: HandDisk[] = [];
  for (const { node, file, format, bytes } of await opened(left)) {
    const below = path.relative(storage, file);
    const target = path.join(there.storage ?? '', below);
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    await runCommand(['qemu-img', 'create', '-q', '-f', format, target, String(bytes)], { signal });
    disks.push({ node, file, target });
  }
  return disks;
}

async function opened(monitor: Monitor) {
  const all = blocks.parse(await monitor.execute('query-block'));
  return all.flatMap(({ inserted }) => {
    if (inserted === undefined) return [];
    const { drv: format, file, image } = inserted;
    return [{ node: inserted['node-name'], file, format, bytes: image['virtual-size'] }];
  });
}

/** Resolves once each copy is as good as its source. */
export async function beginCopies(
  { left, right, disks, server }: Copies & { readonly server: NbdServer },
  signal: AbortSignal,
): Promise<void> {
  const { host, credentials, name } = server;
  const port = String(server.port);
  const there = await opened(right);
  await right.execute('nbd-server-start', {
    addr: { type: 'inet', data: { host, port } },
    'tls-creds': credentials,
  });
  for (const [index, { node, target }] of disks.entries()) {
    const found = there.find(({ file }) => file === target);
    if (found === undefined) throw new Error(`the destination's QEMU did not open ${target}`);
    const offered = { type: 'nbd', id: `export${index}`, name: `disk${index}`, writable: true };
    await right.execute('block-export-add', { ...offered, 'node-name': found.node });
    await left.execute('blockdev-add', {
      driver: 'nbd',
      'node-name': `nbd${index}`,
      server: { type: 'inet', host, port },
      export: `disk${index}`,
      'tls-creds': credentials,
      'tls-hostname': name,
      discard: 'unmap',
    });
    const job = { 'job-id': jobOf(index), device: node, target: `nbd${index}` };
    await left.execute('blockdev-mirror', { ...job, ...MIRROR });
  }
  for (const index of disks.keys()) {
    const event = await left.until(`the copy of disk ${index}`, ofJob(index), READY_MS, signal);
    if (event.event !== 'BLOCK_JOB_READY') throw new Error(`the copy of disk ${index} failed`);
  }
}

/** The guest is paused: the copies are whole, and the destination's images are its own. */
export async function endCopies(
  { left, right, disks }: Copies,
  signal: AbortSignal,
): Promise<void> {
  for (const index of disks.keys())
    await left.execute('block-job-cancel', { device: jobOf(index) });
  for (const index of disks.keys()) {
    const hasEnded = ({ event, data }: QmpEvent): boolean =>
      event === 'BLOCK_JOB_COMPLETED' && data['device'] === jobOf(index);
    const { data } = await left.until(`the end of disk ${index}`, hasEnded, END_MS, signal);
    if (data['error'] !== undefined)
      throw new Error(`disk ${index}: ${JSON.stringify(data['error'])}`);
  }
  await right.execute('nbd-server-stop');
}

function ofJob(index: number): (event: QmpEvent) => boolean {
  return ({ event, data }) =>
    /^BLOCK_JOB_(READY|COMPLETED|CANCELLED|ERROR)$/.test(event) && data['device'] === jobOf(index);
}

function jobOf(index: number): string {
  return `mirror${index}`;
}
