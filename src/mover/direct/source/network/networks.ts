import type { SourceNic } from '../../../../network/attachment.ts';
import { godwitError } from '../../../../errors.ts';
import { withPortRules } from '../../../../network/port-rules.ts';
import { announcePort, readNics, withdrawPort } from '../../../../network/port.ts';
import { didYouMean } from '../../../../protocol/nearest.ts';
import { MAX_NICS, networkName, routesOf, type NicNetwork } from '../../../../protocol/network.ts';
import type { LookDependencies, MigrationRun } from '../source-base.ts';

/**
 * Attachments of the guest's NICs here, for the destination to map. GODWIT_USAGE for a mapping of an unknown network.
 */
export async function networksOf(
  context: LookDependencies,
  nics: readonly SourceNic[] | undefined,
  signal: AbortSignal,
): Promise<NicNetwork[] | undefined> {
  if (nics === undefined) return undefined;
  checkCount(context, nics.length);
  const attached = await readNics(nics, signal);
  const lost = nics.find(({ id }) => !attached.some((each) => each.id === id));
  if (lost !== undefined) throw unattached(context, lost);
  const ruled = await withPortRules(attached, signal);
  const networks = await context.connections.learn(context, ruled, signal);
  const names = networks.flatMap(({ attachment }) => networkName(attachment) ?? []);
  const asked = Object.keys(context.state().plan.settings.networks ?? {});
  const unknown = asked.find((name) => !names.includes(name));
  if (unknown === undefined) return networks;
  const guest = context.request.request.guest;
  const near = didYouMean(unknown, names) ?? '';
  const hint = `${near} It is in ${names.join(', ') || 'no network that has a name'}.`.trim();
  throw godwitError('GODWIT_USAGE', { what: `${guest} is in no network ${unknown}` }, { hint });
}

export async function routesTo(
  context: Pick<LookDependencies, 'guest'>,
  signal: AbortSignal,
): Promise<string[]> {
  const { nics = [] } = await context.guest.inspect(signal);
  return nics.length === 0 ? [] : routesOf(await readNics(nics, signal));
}

function checkCount({ request }: LookDependencies, count: number): void {
  if (count <= MAX_NICS) return;
  const { guest } = request.request;
  throw godwitError('GODWIT_TOO_MANY', { guest, count, what: 'NICs', limit: MAX_NICS });
}

function unattached({ config, request }: LookDependencies, { id, port }: SourceNic): Error {
  const what = `its port ${port} is in no bridge that this host reports, and no route leads to it`;
  const facts = { device: id, guest: request.request.guest, host: config.name, what };
  const hint =
    'Put it into a bridge. Of Open vSwitch: see that `ovs-vsctl show` answers here (OVS_RUNDIR is that of the agent), and that its VLAN mode is access, trunk or native-untagged.';
  return godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
}

/** Removes routes to the guest after the right to run has left. Never rejects, because they go with the port. */
export async function withdrawNetworks(
  { state }: Pick<MigrationRun, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  for (const nic of state().known.networks ?? []) {
    await withdrawPort(nic, signal).catch(() => undefined);
  }
}

export async function restoreNetworks(
  { state }: Pick<MigrationRun, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  for (const nic of state().known.networks ?? []) await announcePort(nic, nic.port, signal);
}
