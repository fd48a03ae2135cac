import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal, managerWarn } from '../../port/manager-checks.ts';
import type { Domain, LibvirtClient } from './client.ts';
import type { DomainFacts, NicHostLink } from './domain-xml.ts';
import { keptFor, network, networkDevice, pool, type Existence } from './questions.ts';

interface DestinationQuery {
  readonly facts: DomainFacts;
  readonly to: string;
  readonly there: LibvirtClient;
}

export async function destinationChecks(
  asked: DestinationQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  return [
    ...(await identityChecks(asked, signal)),
    ...(await networkChecks(asked, signal)),
    ...(await hostLinkChecks(asked, signal)),
    ...(await poolChecks(asked, signal)),
  ];
}

/** libvirt moves a guest onto an inactive definition of the same name and UUID, but onto no other definition. */
async function identityChecks(
  { facts: { name: guest, uuid }, to, there }: DestinationQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const same = await there.domain({ uuid }, signal);
  const named = await there.domain({ name: guest }, signal);
  const isTaken = named !== undefined && (named.uuid !== uuid || named.id !== -1);
  const other = same === undefined || same.name === guest ? undefined : same.name;
  return [
    isTaken
      ? managerRefusal(
          'name',
          'destination',
          godwitError('GODWIT_NAME_IN_USE', { host: to, guest }),
        )
      : managerPass('name', 'destination', `${guest} is free there`),
    other === undefined
      ? managerPass('uuid', 'destination', `no other guest there has ${uuid}`)
      : managerRefusal(
          'uuid',
          'destination',
          godwitError('GODWIT_UUID_IN_USE', { host: to, guest, other: other.slice(0, 128) }),
        ),
    ...(same?.id === -1
      ? await keptChecks(there, same, { host: to, side: 'destination' }, signal)
      : []),
  ];
}

/**
 * libvirt does not move a domain's snapshots, checkpoints and saved memory. It refuses a guest with snapshots.
 * An old saved memory image would be started instead of the guest. Other leftovers are a warning.
 */
export async function keptChecks(
  client: LibvirtClient,
  domain: Domain,
  { host, side }: { readonly host: string; readonly side: 'source' | 'destination' },
  signal: AbortSignal,
): Promise<Check[]> {
  const { snapshots, checkpoints, hasManagedSave } = await keptFor(client, domain, signal);
  const guest = domain.name;
  const isSource = side === 'source';
  const found = [
    ['snapshots', snapshots, counted(snapshots, 'snapshot'), 'virsh snapshot-delete', isSource],
    ['checkpoints', checkpoints, counted(checkpoints, 'checkpoint'), '', false],
    ['saved', Number(hasManagedSave), 'a saved state', 'virsh managedsave-remove', true],
  ] as const;
  return found.map(([name, count, what, command, isInTheWay]): Check => {
    if (count === 0) return managerPass(name, side, `${guest} has none at ${host}`);
    if (!isInTheWay) {
      const evidence = `${guest} has ${what} at ${host}, which libvirt does not take along`;
      const isBackup = name === 'checkpoints';
      const hint = isBackup
        ? 'The next backup after the move may have to be a full one.'
        : `What they keep is not of this guest any more: look at them at ${host}.`;
      return { name, side, verdict: 'warn', evidence, hint };
    }
    const hint = `Remove what is not needed at {host} before it moves (\`${command}\`).`;
    return managerRefusal(
      name,
      side,
      godwitError('GODWIT_GUEST_KEPT', { guest, host, what }, { hint }),
    );
  });
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

async function networkChecks(
  { facts: { name: guest, networks }, to, there }: DestinationQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, { nic }] of new Map(networks.map((each) => [each.network, each]))) {
    const device = `NIC ${nic} (network ${name.slice(0, 128)})`;
    const wanted = { check: 'network', kind: 'network', name, device, guest, to };
    checks.push(existenceCheck({ ...wanted, command: 'net' }, await network(there, name, signal)));
  }
  return checks;
}

/** libvirt checks them only during the move. */
async function hostLinkChecks(
  { facts: { name: guest, hostLinks }, to, there }: DestinationQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const link of new Map(hostLinks.map((each) => [each.device, each])).values()) {
    const found = await networkDevice(there, link.device, signal);
    checks.push(hostLinkCheck({ guest, to, link }, found));
  }
  return checks;
}

function hostLinkCheck(
  { guest, to, link }: { readonly guest: string; readonly to: string; readonly link: NicHostLink },
  found: Existence,
): Check {
  const [name, of] = [link.device.slice(0, 128), link.kind === 'bridge' ? 'bridge' : 'device'];
  const make =
    link.kind === 'bridge'
      ? `a bridge ${name}, in the configuration of its network (by hand \`ip link add ${name} type bridge\` or \`ovs-vsctl add-br ${name}\`)`
      : `a network device ${name}, in the configuration of its network`;
  if (found.is === 'active') return managerPass('bridge', 'destination', `${of} ${name} is there`);
  if (found.is === 'absent') {
    const device = `NIC ${link.nic} (${of} ${name})`;
    const facts = { device, guest, host: to, what: `it has no network device ${name}` };
    const hint = `Make {host} ${make}.`;
    return managerRefusal(
      'bridge',
      'destination',
      godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
    );
  }
  const why = 'why' in found ? `: ${found.why}` : '';
  const evidence = `libvirt there does not list a network device ${name}${why}`.slice(0, 4096);
  const hint = `See that ${to} has ${make}: libvirt itself looks only once the move has begun.`;
  return managerWarn('bridge', 'destination', evidence, hint);
}

async function poolChecks(
  { facts: { name: guest, disks }, to, there }: DestinationQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const checks: Check[] = [];
  const pools = disks.flatMap((each) =>
    each.pool === undefined ? [] : [[each.pool, each] as const],
  );
  for (const [name, disk] of new Map(pools)) {
    const device = `disk ${disk.name} (pool ${name.slice(0, 128)})`;
    const wanted = { check: 'pool', kind: 'storage pool', name, device, guest, to };
    checks.push(existenceCheck({ ...wanted, command: 'pool' }, await pool(there, name, signal)));
  }
  return checks;
}

interface RequiredResource {
  readonly check: string;
  readonly kind: string;
  readonly name: string;
  readonly device: string;
  readonly guest: string;
  readonly to: string;
  readonly command: 'net' | 'pool';
}

function existenceCheck(
  { check, kind, name, device, guest, to, command }: RequiredResource,
  found: Existence,
): Check {
  if (found.is === 'active')
    return managerPass(check, 'destination', `${kind} ${name} is active there`);
  if (found.is === 'unanswered') {
    const evidence = `libvirt there does not say whether it has ${kind} ${name}: ${found.why}`;
    const hint = 'See that it has one: libvirt itself looks only once the move has begun.';
    return managerWarn(check, 'destination', evidence, hint);
  }
  const isAbsent = found.is === 'absent';
  const what = `libvirt there ${isAbsent ? 'has no' : 'has not started'} ${kind} ${name}`;
  const start = `\`virsh ${command}-start ${command === 'net' ? 'NETWORK' : 'POOL'}\``;
  const hint = `At {host}: ${isAbsent ? `\`virsh ${command}-define FILE\`, then ${start}` : start}.`;
  const facts = { device, guest, host: to, what };
  return managerRefusal(
    check,
    'destination',
    godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
  );
}
