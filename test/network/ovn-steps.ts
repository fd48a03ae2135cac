/**
 * Run by ovn.e2e.ts in namespaces of its own, and nowhere else: an OVN of a central and two chassis, each with an Open
 * vSwitch in a network namespace of its own. A logical port moves from o1 to o2 by the example of a hook, and is brought
 * back by it; what Godwit reads of it, and what OVN says, is reported on standard output.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { awaitBound } from '../../src/network/bound.ts';
import { readNetwork } from '../../src/network/host.ts';
import { attachmentOf } from '../../src/network/attachment.ts';
import { hookInput, type HookName } from '../../src/hooks/hooks.ts';
import { until } from '../until.ts';

const OWN = process.env['OWN_DIR'] ?? '';
const MAC = '52:54:00:00:00:02';
const signal = AbortSignal.timeout(120_000);
const CHASSIS = { o1: '10.0.0.1', o2: '10.0.0.2' } as const;
type Chassis = keyof typeof CHASSIS;

const dirOf = (chassis: Chassis): string => path.join(OWN, chassis);

function sh(script: string, env: NodeJS.ProcessEnv = {}): string {
  const done = spawnSync('sh', ['-ec', script], { env: { ...process.env, ...env } });
  if (done.status !== 0) throw new Error(`${script}\n${String(done.stderr)}`);
  return String(done.stdout).trim();
}

/** Where the tools of a chassis find its own switch. */
const of = (chassis: Chassis): NodeJS.ProcessEnv => {
  const dir = dirOf(chassis);
  return { OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, OVS_SYSCONFDIR: dir, OVN_RUNDIR: dir };
};
const on = (chassis: Chassis, script: string): string => {
  return sh(`ip netns exec ${chassis} sh -ec '${script}'`, of(chassis));
};

/** As OVN's own scripts look for it. */
const SCHEMAS = process.env['OVN_PKGDATADIR'] ?? '/usr/share/ovn';
const QUIET = '--pidfile --detach --no-chdir -vconsole:off';
const NB = 'tcp:10.0.0.9:6641';
const SB = 'tcp:10.0.0.9:6642';

function startCentral(): void {
  mkdirSync(path.join(OWN, 'central'));
  const dir = path.join(OWN, 'central');
  sh(`mount -t tmpfs none /run; mkdir -p /run/netns; ip link set dev lo up
    ip link add name under type bridge; ip link set dev under up; ip addr add 10.0.0.9/24 dev under
    for db in nb sb; do
      port=6641; [ $db = nb ] || port=6642
      ovsdb-tool create ${dir}/$db.db ${SCHEMAS}/ovn-$db.ovsschema
      ovsdb-server ${dir}/$db.db --remote=punix:${dir}/$db.sock --remote=ptcp:$port:10.0.0.9 \
        --unixctl=${dir}/$db.ctl --pidfile=${dir}/$db.pid --detach --no-chdir -vconsole:off --log-file=${dir}/$db.log
    done
    ovn-nbctl --db=unix:${dir}/nb.sock init; ovn-sbctl --db=unix:${dir}/sb.sock init
    OVN_RUNDIR=${dir} ovn-northd ${QUIET} --ovnnb-db=unix:${dir}/nb.sock --ovnsb-db=unix:${dir}/sb.sock \
      --log-file=${dir}/northd.log`);
}

function startChassis(chassis: Chassis): void {
  const dir = dirOf(chassis);
  mkdirSync(dir);
  sh(`ip netns add ${chassis}; ip link add name ${chassis}p type veth peer name up0 netns ${chassis}
    ip link set dev ${chassis}p master under up`);
  on(
    chassis,
    `ip link set dev lo up; ip link set dev up0 up; ip addr add ${CHASSIS[chassis]}/24 dev up0
    ip tuntap add dev tap0 mode tap; ip link set dev tap0 up
    ovsdb-tool create $OVS_RUNDIR/conf.db
    ovsdb-server $OVS_RUNDIR/conf.db --remote=punix:$OVS_RUNDIR/db.sock ${QUIET} --log-file=$OVS_RUNDIR/db.log
    ovs-vsctl --no-wait init
    ovs-vsctl --no-wait set Open_vSwitch . external_ids:system-id=${chassis} external_ids:hostname=${chassis} \
      external_ids:ovn-remote=${SB} external_ids:ovn-encap-type=geneve \
      external_ids:ovn-encap-ip=${CHASSIS[chassis]} external_ids:ovn-bridge-datapath-type=netdev
    ovs-vsctl --no-wait add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure
    ovs-vswitchd ${QUIET} --log-file=$OVS_RUNDIR/switch.log
    ovn-controller unix:$OVS_RUNDIR/db.sock ${QUIET} --log-file=$OVS_RUNDIR/controller.log`,
  );
}

const nb = (...words: string[]): string =>
  sh(`ovn-nbctl --timeout=8 --db=${NB} ${words.join(' ')}`);
const options = (): string => nb('get', 'Logical_Switch_Port', 'lp1', 'options');
const boundAt = (column: string): string =>
  sh(`for c in $(ovn-sbctl --timeout=8 --bare --columns=${column} --db=${SB} find Port_Binding logical_port=lp1); do
    ovn-sbctl --timeout=8 --bare --columns=name --db=${SB} list Chassis $c; done`);

function hook(chassis: Chassis, name: HookName, attachment: object): string {
  const dir = path.join(dirOf(chassis), 'hooks');
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, name);
  copyFileSync(path.join(import.meta.dirname, '../../examples/hooks/ovn'), file);
  writeFileSync(path.join(dir, 'ovn'), `northbound ${NB}\nsouthbound ${SB}\n`);
  const facts = { migration: 'm-12345678', guest: 'web1', from: 'o1', to: 'o2', mode: 'precopy' };
  const nic = { id: 'net0', mac: MAC, port: 'tap0', addresses: [], attachment };
  const asked = { ...facts, networks: [nic], ports: { net0: 'tap0' }, version: 1, hook: name };
  const input = JSON.stringify(hookInput.parse({ ...asked, host: chassis }));
  const env = { ...process.env, ...of(chassis) };
  const done = spawnSync('ip', ['netns', 'exec', chassis, 'python3', file], { env, input });
  return done.status === 0 ? 'ok' : String(done.stderr).trim();
}

startCentral();
startChassis('o1');
startChassis('o2');
nb(
  'ls-add',
  'ls1',
  '--',
  'lsp-add',
  'ls1',
  'lp1',
  '--',
  'lsp-set-addresses',
  'lp1',
  `"${MAC} 10.1.0.2"`,
);
on(
  'o1',
  'ovs-vsctl --timeout=8 add-port br-int tap0 -- set Interface tap0 external_ids:iface-id=lp1',
);
await until('o1 to have the port', 30_000, async () =>
  boundAt('chassis') === 'o1' ? true : undefined,
);

// As the source reads it.
Object.assign(process.env, of('o1'));
const facts = await readNetwork({}, signal);
const links = [{ ifname: 'tap0', mtu: 1500, kind: 'tun', data: {} }];
const attachment = attachmentOf('tap0', { ...facts, links });
if (attachment === undefined) throw new Error('the port is attached to nothing that is known');

// As the destination makes it: a port of the switch, of which no controller knows.
on('o2', 'ovs-vsctl --timeout=8 add-port br-int tap0');
Object.assign(process.env, of('o2'));
const asked = { port: 'tap0', id: 'lp1', host: 'o2' };
const unbound = await awaitBound(asked, signal).then(
  () => 'bound',
  (error: Error) => error.message,
);
const strange = hook('o2', 'prepare-destination', { ...attachment, ids: { 'iface-id': 'nobody' } });
const optionsBefore = options();
const early = hook('o1', 'after-rollback', attachment);
const unprepared = { early, changed: options() !== optionsBefore };
const prepared = hook('o2', 'prepare-destination', attachment);
await awaitBound(asked, signal);
const both = {
  options: options(),
  chassis: boundAt('chassis'),
  further: boundAt('additional_chassis'),
};
const back = hook('o1', 'after-rollback', attachment);
await until('o1 to have the port alone', 30_000, async () =>
  boundAt('additional_chassis') === '' ? true : undefined,
);
const rolledBack = { options: options(), chassis: boundAt('chassis') };
const again = hook('o2', 'prepare-destination', attachment);
const resumed = hook('o2', 'after-resume', attachment);
await until('o2 to have the port', 30_000, async () =>
  boundAt('chassis') === 'o2' ? true : undefined,
);
const moved = { options: options(), further: boundAt('additional_chassis') };
for (const pid of sh(`cat ${OWN}/*/*.pid`).split('\n')) process.kill(Number(pid), 'SIGKILL');
process.stdout.write(
  JSON.stringify({
    attachment,
    unbound,
    strange,
    unprepared,
    prepared,
    both,
    back,
    rolledBack,
    again,
    resumed,
    moved,
  }),
);
