import { z } from 'zod';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { MAX_PARTS, type GuestSnapshot } from '../../../migration/guest-changes/snapshot.ts';
import type { Halt } from '../../../protocol/guest-halt.ts';
import { haltKind } from '../events.ts';
import { readNetwork } from '../guest/facts.ts';
import { monitorCommand } from '../guest/monitor-command.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseDeviceTree } from '../same-machine/device-tree.ts';
import {
  driveList,
  exportList,
  failedDrives,
  graphAnswer,
  jobList,
  nodeList,
  snapshotParts,
} from './parts.ts';

const WHOLE_MS = 5000;

const limits = z.record(z.string().max(256), z.unknown());

/**
 * Reads the parts of a running or stopped guest in two rounds of queries. Takes a few ms and changes nothing.
 * Throws GODWIT_TOO_LARGE if it has more parts than can be compared.
 */
export function readSnapshot(client: QmpClient, signal: AbortSignal): Promise<GuestSnapshot> {
  return withDeadline('reading what the guest is made of', WHOLE_MS, signal, (inner) =>
    readParts(client, inner),
  );
}

async function readParts(client: QmpClient, signal: AbortSignal): Promise<GuestSnapshot> {
  const ask = <T>(command: string, schema: z.ZodType<T>, args: object = {}): Promise<T> =>
    client.query(command, args, schema, signal);
  const children = async (path: string) =>
    childrenIn(await ask('qom-list', answers.qomList, { path }));
  const [drives, nodes, graph, jobs, exports, tree, peripherals, objects, network, chardevs, cpus] =
    await Promise.all([
      ask('query-block', driveList),
      ask('query-named-block-nodes', nodeList, { flat: true }),
      ask('x-debug-query-block-graph', graphAnswer),
      ask('query-jobs', jobList),
      ask('query-block-exports', exportList),
      monitorCommand(client, 'info qtree', signal),
      children('/machine/peripheral'),
      children('/objects'),
      readNetwork(client, signal),
      ask('query-chardev', answers.chardevs),
      ask('query-cpus-fast', answers.cpus),
    ]);
  const memory = ask('query-memory-size-summary', answers.memorySize);
  const groups = objects
    .filter(({ type }) => type === 'throttle-group')
    .map(async ({ name }) => {
      const asked = { path: `/objects/${name}`, property: 'limits' };
      return { name, limits: await ask('qom-get', limits, asked) };
    });
  const [sizes, ...limited] = await Promise.all([memory, ...groups]);
  const parts = snapshotParts({
    drives,
    nodes,
    graph,
    jobs,
    exports,
    devices: parseDeviceTree(tree),
    peripherals,
    objects,
    groups: limited,
    backends: [
      ...network
        .filter(({ type }) => type !== 'nic')
        .map(({ id, type, ifname, fd, hubid }) => ({
          id,
          type,
          to: ifname ?? fd?.toString() ?? hubid?.toString(),
        })),
      ...chardevs.map(({ label, filename }) => ({ id: label, type: 'chardev', to: filename })),
    ],
    processors: cpus.length,
    memoryBytes: sizes['base-memory'] + sizes['plugged-memory'],
  });
  if (parts.length <= MAX_PARTS) return { parts };
  throw godwitError('GODWIT_TOO_LARGE', {
    what: 'the description of a guest',
    limit: `${MAX_PARTS} parts`,
  });
}

function childrenIn(list: z.infer<typeof answers.qomList>) {
  return list.flatMap(({ name, type: reported }) => {
    const type = /^child<(.+)>$/.exec(reported)?.[1];
    return type === undefined ? [] : [{ name, type }];
  });
}

export async function readFailedDrives(
  client: Pick<QmpClient, 'query'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  return failedDrives(await client.query('query-block', {}, driveList, signal));
}

/** Reason why a guest is stopped; undefined if it runs or its state is internal to the hypervisor. */
export async function readHalt(
  client: Pick<QmpClient, 'query'>,
  status: string,
  signal: AbortSignal,
): Promise<Halt | undefined> {
  const kind = haltKind(status);
  if (kind !== 'io-error') return kind === undefined ? undefined : { kind };
  const what = await readFailedDrives(client, signal);
  return what === undefined ? { kind } : { kind, what };
}
