import { godwitError, hasCode } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import type { FleetGuest, ListedHost } from '../../protocol/controller/fleet.ts';
import { everyPage, MAX_PER_PAGE } from '../../protocol/public/page.ts';
import { formatBytes, formatMoment } from '../../protocol/quantity.ts';
import type { Api } from '../../rpc/client.ts';
import { transportTo } from './controller-place.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import { labelsCell, printList, widened } from '../lists.ts';
import type { Painter } from '../../words/style.ts';
import { healthText, illText } from '../../words/health.ts';
import { printView } from '../render/paint.ts';
import { renderTable } from '../../words/table.ts';

/**
 * Uses a controller at https://[NAME@]HOST:PORT, or its Unix socket. GODWIT_USAGE or GODWIT_CONFIG if the address or
 * the certificate is unsuitable.
 */
export async function withController<T>(
  where: string,
  flags: ConnectionFlags,
  env: Context['env'],
  work: (api: Api<typeof controllerContract>) => Promise<T>,
): Promise<T> {
  // Loaded on demand: help and completion load these verbs without the contract's schemas.
  const [{ client }, contract] = await Promise.all([
    import('../../rpc/client.ts'),
    import('../../protocol/controller/contract.ts'),
  ]);
  const speaking = client(contract.controllerContract, transportTo(where, flags, env));
  try {
    return await work(speaking.api);
  } catch (thrown) {
    throw notByToken(where, thrown);
  } finally {
    speaking.close();
  }
}

const FOR_CERTIFICATES =
  'Use the address of its listener for certificates (`address` in the configuration of the controller, not `web.address`), or the path of its controller.sock.';

/**
 * A web listener takes no certificates, so a caller with one is a stranger there, and may not trust the listener's
 * certificate.
 */
function notByToken(where: string, thrown: unknown): unknown {
  const hint = FOR_CERTIFICATES;
  if (hasCode(thrown, 'GODWIT_SIGN_IN')) {
    const what = `${where.slice(0, 300)} is the web listener of the controller, which accepts only tokens`;
    return godwitError('GODWIT_USAGE', { what }, { hint, cause: thrown });
  }
  if (!hasCode(thrown, 'GODWIT_PEER_UNTRUSTED') || !where.startsWith('https://')) return thrown;
  const { hint: usual, cause } = thrown;
  const facts = thrown.facts as { peer: string; reason: string };
  const further = `${usual} Or it is the web listener of the controller: ${hint}`;
  return godwitError('GODWIT_PEER_UNTRUSTED', facts, { hint: further, cause });
}

type ListInput = Parameters<typeof printList>[1];

export async function listFleetHosts(
  api: Api<typeof controllerContract>,
  input: ListInput,
  context: Context,
): Promise<void> {
  const hosts = await everyPage(async (cursor) => {
    const { hosts: items, next } = await api.hosts({ query: { cursor, limit: MAX_PER_PAGE } });
    return next === undefined ? { items } : { items, next };
  });
  const names = hosts.map(({ name }) => name);
  printList(context, input, { answer: { hosts }, names }, (look) => {
    const head = widened(
      ['HOST', 'STATE', 'ADDRESS', 'GUESTS', 'MEMORY FREE', 'CORES', 'USED', 'NOTE'],
      ['VERSION', 'FOLLOWED BY'],
      look,
    );
    const rows = hosts.map((host) =>
      widened(hostRow(host, look.paint), [host.version, host.followedBy], look),
    );
    withSites(head, rows, hosts);
    context.out.write(hosts.length === 0 ? 'no hosts\n' : renderTable(head, rows, look));
    for (const host of hosts)
      printView(context, healthText(host.name, host.load?.health) + illText(host));
  });
}

export function withSites(
  head: string[],
  rows: readonly string[][],
  hosts: readonly { readonly site?: string | undefined }[],
): void {
  if (hosts.every(({ site }) => site === undefined)) return;
  head.splice(1, 0, 'SITE');
  for (const [place, row] of rows.entries()) row.splice(1, 0, hosts[place]?.site ?? '-');
}

function hostRow(host: ListedHost, paint: Painter): string[] {
  const { name, state, since, memoryBytes, memoryAvailableBytes, load, closed } = host;
  const isUp = state === 'up';
  const memory =
    memoryBytes === undefined || memoryAvailableBytes === undefined
      ? '-'
      : `${formatBytes(memoryAvailableBytes)} of ${formatBytes(memoryBytes)}`;
  return [
    name,
    (isUp ? paint.green(state) : state === 'asleep' ? paint.dim(state) : paint.red(state)) +
      (closed === undefined ? '' : ', closed'),
    host.address,
    String(host.guests),
    memory,
    String(host.cores ?? '-'),
    load === undefined ? '-' : `${Math.round(load.processor.used * 100)} %`,
    [
      isUp
        ? undefined
        : [`since ${formatMoment(since)}`, host.reason]
            .filter((each) => each !== undefined)
            .join(': '),
      closed &&
        `closed since ${formatMoment(closed.since)} for ${closed.request}: \`godwit undrain ${name}\` opens it`,
    ]
      .filter((each) => each !== undefined)
      .join('; '),
  ];
}

/** All guests, or one host's. GODWIT_HOST_UNKNOWN for an unknown host. */
export async function listFleetGuests(
  api: Api<typeof controllerContract>,
  { on, ...input }: ListInput & { readonly on: string | undefined },
  context: Context,
): Promise<void> {
  const guests = await everyPage(async (cursor) => {
    const query = { cursor, limit: MAX_PER_PAGE, host: on };
    const { guests: items, next } = await api.guests({ query });
    return next === undefined ? { items } : { items, next };
  });
  if (on !== undefined && guests.length === 0) await api.host({ params: { host: on } });
  const names = guests.map(({ name }) => name);
  printList(context, input, { answer: { guests }, names }, (look) => {
    const head = widened(
      ['GUEST', 'HOST', 'STATE', 'MEMORY', 'VCPUS', 'DRIVER', 'NOTE'],
      ['UUID', 'LABELS'],
      look,
    );
    const rows = guests.map((guest) =>
      widened(guestRow(guest, look.paint), [guest.uuid, labelsCell(guest.labels)], look),
    );
    context.out.write(guests.length === 0 ? 'no guests\n' : renderTable(head, rows, look));
  });
}

function guestRow(guest: FleetGuest, paint: Painter): string[] {
  const isKnown = guest.hostState === 'up';
  const state = isKnown ? guest.state : `${guest.state}?`;
  return [
    guest.name,
    guest.host,
    state === 'running' ? paint.green(state) : state,
    guest.memoryBytes === undefined ? '-' : formatBytes(guest.memoryBytes),
    String(guest.vcpus ?? '-'),
    guest.driver,
    noteOf(guest, paint),
  ];
}

function noteOf(guest: FleetGuest, paint: Painter): string {
  const { alsoClaimedBy, hostState, hostSince, migration, manager, host } = guest;
  if (alsoClaimedBy !== undefined)
    return paint.red(`CLAIMED BY SEVERAL HOSTS: ${alsoClaimedBy.join(', ')} too`);
  if (hostState !== 'up')
    return paint.yellow(`${host} is ${hostState} since ${formatMoment(hostSince)}`);
  if (migration !== undefined) return paint.cyan(`moves: ${migration}`);
  return manager === undefined ? '' : paint.yellow(`managed by ${manager}`);
}
