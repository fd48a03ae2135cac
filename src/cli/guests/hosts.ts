import { formatBytes } from '../../protocol/quantity.ts';
import type { HostEntry } from '../../protocol/public/hosts/host.ts';
import type { Context } from '../context.ts';
import { askAny } from '../connection/agent-set.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { listFleetHosts, withController, withSites } from '../connection/fleet-lists.ts';
import type { Painter } from '../../words/style.ts';
import { healthText } from '../../words/health.ts';
import { renderTable, type Look } from '../../words/table.ts';
import { printView } from '../render/paint.ts';
import { listing, printList, widened } from '../lists.ts';
import type { hostsSpec } from './specs.ts';

export const run = listing<typeof hostsSpec>(async (input, context) => {
  const { connection, flags, json } = input;
  const where = controllerNamed(connection, context.env);
  if (where !== undefined)
    return withController(where, connection, context.env, (api) =>
      listFleetHosts(api, { json, flags }, context),
    );
  const fleet = await context.connect(connection);
  try {
    const answer = await askAny(fleet, (endpoint) => endpoint.api.hosts());
    const names = answer.hosts.map(({ name }) => name);
    printList(context, input, { answer, names }, (look) => printHosts(context, answer.hosts, look));
  } finally {
    fleet.close();
  }
});

function printHosts(context: Context, hosts: readonly HostEntry[], look: Look): void {
  const head = widened(
    ['HOST', 'STATUS', 'ADDRESS', 'GUESTS', 'IN/OUT', 'MEMORY FREE', 'CORES', 'HYPERVISORS'],
    ['PROCESSOR', 'VERSION'],
    look,
  );
  const rows = hosts.map((host) =>
    widened(hostRow(host, look.paint), [host.info?.processor.model, host.info?.version], look),
  );
  withSites(
    head,
    rows,
    hosts.map(({ info }) => ({ site: info?.site })),
  );
  context.out.write(renderTable(head, rows, look));
  for (const host of hosts) {
    if (host.reason !== undefined) printView(context, `${host.name}: ${host.reason}\n`);
    printView(context, healthText(host.name, host.info?.health));
  }
}

function hostRow(host: HostEntry, paint: Painter): string[] {
  const { info } = host;
  const name = host.self ? `${host.name} *` : host.name;
  const status = host.status === 'up' ? paint.green(host.status) : paint.red(host.status);
  if (info === undefined) return [name, status, host.address, '-', '-', '-', '-', '-'];
  return [
    name,
    status,
    host.address,
    String(info.guests),
    `${info.migrations.in}/${info.migrations.out}`,
    `${formatBytes(info.memoryAvailableBytes)} of ${formatBytes(info.memoryBytes)}`,
    String(info.processor.cores),
    info.hypervisors.map((each) => `${each.driver} ${each.version}`).join(', ') || 'none',
  ];
}
