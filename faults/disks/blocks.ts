/** What a QEMU holds of disks, as it says itself over the witness's monitor. */
import { z } from 'zod';
import type { Lab } from '../../lab/state.ts';
import { seenQemus } from '../../lab/witness/qemus.ts';
import { Monitor } from '../../lab/witness/monitor.ts';

export interface Blocks {
  readonly host: string;
  /** Files and connections that it has open: `file:/srv/disk0.qcow2`. */
  readonly opened: readonly string[];
  /** Names of all its block nodes that are not its own choice (those begin with a hash). */
  readonly nodes: readonly string[];
  readonly jobs: readonly string[];
  readonly exports: readonly string[];
  readonly bitmaps: readonly string[];
}

const named = z.array(
  z.looseObject({
    'node-name': z.string(),
    drv: z.string(),
    file: z.string(),
    'dirty-bitmaps': z.array(z.looseObject({ name: z.string().optional() })).default([]),
  }),
);
const jobs = z.array(z.looseObject({ device: z.string() }));
const exported = z.array(z.looseObject({ id: z.string() }));
/** Drivers that read and write themselves; others stand on them. */
const PROTOCOLS = new Set(['file', 'host_device', 'nbd', 'null-co', 'null-aio']);

/** Pure: from the answers of query-named-block-nodes, query-block-jobs and query-block-exports. */
export function blocksOf(host: string, [nodes, running, out]: readonly unknown[]): Blocks {
  const all = named.parse(nodes);
  return {
    host,
    opened: all
      .flatMap(({ drv, file }) => (PROTOCOLS.has(drv) ? [`${drv}:${file}`] : []))
      .toSorted(),
    nodes: all
      .map((node) => node['node-name'])
      .filter((name) => !name.startsWith('#'))
      .toSorted(),
    jobs: jobs.parse(running).map(({ device }) => device),
    exports: exported.parse(out).map(({ id }) => id),
    bitmaps: all.flatMap((node) =>
      node['dirty-bitmaps'].map(({ name = 'without a name' }) => `${name} on ${node['node-name']}`),
    ),
  };
}

/** Of each QEMU of the guest that answers. */
export async function blocksSeen(lab: Lab, guest: string): Promise<Blocks[]> {
  const found: Blocks[] = [];
  for (const qemu of (await seenQemus(lab)).filter((each) => each.guest === guest)) {
    const monitor = await Monitor.connect(qemu.monitors.at(-1) ?? '');
    if (monitor === undefined) continue;
    const answers: unknown[] = [];
    for (const command of ['query-named-block-nodes', 'query-block-jobs', 'query-block-exports']) {
      answers.push(await monitor.ask(command));
    }
    monitor.close();
    if (answers.every((answer) => answer !== undefined)) found.push(blocksOf(qemu.host, answers));
  }
  return found;
}
