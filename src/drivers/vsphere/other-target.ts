import { godwitError } from '../../errors.ts';
import { readPassword } from '../../system/files/password-file.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { VsphereClient } from './client.ts';
import { cardOn, cardsIn, networksOf } from './networks.ts';
import type { OtherPlace } from './other-vcenters.ts';
import { datastoreNamed, datastoresOf, poolOf } from './places.ts';
import { group, ref, text, type Part, type Ref } from './soap.ts';

/** Specification of a destination at another vCenter: its address, and its objects by name. */

const DEVICES = 'config.hardware.device';

type Order = Pick<ManagedOrder, 'guest' | 'to' | 'datastore'>;

/** Throws GODWIT_MANAGER_REFUSES if a datastore or network of the guest has no counterpart there. */
export async function otherSpec(
  { client, ref: vm }: { readonly client: VsphereClient; readonly ref: Ref },
  place: OtherPlace,
  order: Order,
  signal: AbortSignal,
): Promise<Part> {
  const pool = await poolOf(place.client, place.host, signal);
  if (pool === undefined) throw refused(order, 'its vCenter shows no resource pool for it');
  const datastore = await storeFor({ client, vm, place }, order, signal);
  const cards = await cardsFor({ client, vm, place }, order, signal);
  // vSphere requires the schema's order.
  return group('spec', [
    await locator(place),
    ref('datastore', datastore),
    ref('pool', pool),
    ref('host', place.host.ref),
    ...cards,
  ]);
}

/**
 * The guest's vCenter connects to the other one itself, with Godwit's user there, and accepts only this
 * certificate.
 */
async function locator({ client, options }: OtherPlace): Promise<Part> {
  const { user, passwordFile, url } = options;
  const { certificate, about } = client;
  if (certificate === undefined) throw client.unreachable('it has shown no certificate');
  const login = [text('username', user), text('password', await readPassword(passwordFile))];
  return group('service', [
    text('instanceUuid', about.instance),
    text('url', url),
    group('credential', login, 'ServiceLocatorNamePassword'),
    text('sslThumbprint', certificate.thumbprint),
  ]);
}

interface Between {
  readonly client: VsphereClient;
  readonly vm: Ref;
  readonly place: OtherPlace;
}

/** Requested datastore, or the guest's if that host also has it: both vCenters report the same url. */
async function storeFor(
  { client, vm, place }: Between,
  order: Order,
  signal: AbortSignal,
): Promise<Ref> {
  const { guest, to, datastore } = order;
  if (datastore !== undefined)
    return datastoreNamed(place.client, place.host, { guest, to, datastore }, signal);
  const [own, there] = [
    await datastoresOf(client, vm, signal),
    await datastoresOf(place.client, place.host.ref, signal),
  ];
  const shared = own.map(({ url }) => there.find((each) => each.url === url && url !== ''));
  const [only] = shared;
  if (only !== undefined && shared.length === 1) return only.ref;
  const names = own.map(({ name }) => name).join(', ');
  const reason =
    own.length > 1
      ? `the guest is on several datastores (${names}), and goes to another vCenter on one`
      : `that host does not have the guest’s datastore ${names}`;
  const has = there.map(({ name }) => name).slice(0, 16);
  throw refused(order, reason, `Name one with --datastore: it has ${has.join(', ') || 'none'}.`);
}

async function cardsFor(
  { client, vm, place }: Between,
  order: Order,
  signal: AbortSignal,
): Promise<Part[]> {
  const [seen] = await client.retrieve([{ ref: vm, properties: [DEVICES] }], signal);
  const own = await networksOf(client, vm, signal);
  const there = await networksOf(place.client, place.host.ref, signal);
  return cardsIn(seen?.properties.get(DEVICES)?.children ?? [], own).map((card) => {
    const { label, network } = card;
    if (network === undefined)
      throw refused(order, `${label} is on a network of a kind that Godwit does not know`);
    const found = there.find(({ name }) => name === network);
    if (found !== undefined) return cardOn(card, found);
    const names = there.map(({ name }) => name);
    const near = didYouMean(network, names) ?? `It has ${names.slice(0, 16).join(', ') || 'none'}.`;
    throw refused(
      order,
      `${label} is on ${network}, and that host has no network of that name`,
      `Give the host a network (port group) of that name. ${near}`,
    );
  });
}

function refused({ guest, to }: Order, reason: string, hint?: string): Error {
  const facts = { manager: 'vSphere', guest, host: to, reason: reason.slice(0, 512) };
  return godwitError('GODWIT_MANAGER_REFUSES', facts, hint === undefined ? {} : { hint });
}
