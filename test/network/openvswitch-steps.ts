/**
 * Run by openvswitch.e2e.ts in namespaces of its own, and nowhere else: this host has an Open vSwitch in the directory that
 * OVS_RUNDIR names. What Godwit reads, makes and removes there is reported on standard output.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { changedPorts } from '../../src/migration/guest-changes/ports.ts';
import { readNetwork } from '../../src/network/host.ts';
import { mapNic } from '../../src/network/mapping.ts';
import { PortLooks } from '../../src/network/port-look.ts';
import { makePort, readNics, removePort } from '../../src/network/port.ts';

const OWN = process.env['OVS_RUNDIR'] ?? '';
const signal = AbortSignal.timeout(60_000);
const nic = (index: number): { id: string; mac: string; port: string } => {
  return { id: `net${index}`, mac: `52:54:00:00:00:0${index}`, port: `tap${index}` };
};

function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();
}

sh(`ip link set dev lo up; ip link add up0 type veth peer name up1; ip link set dev up0 up
  for n in 1 2; do ip tuntap add dev tap$n mode tap; ip link set dev tap$n up; done
  ovsdb-tool create $OVS_RUNDIR/conf.db
  d="--pidfile --detach --no-chdir -vconsole:off --log-file=$OVS_RUNDIR/log"
  ovsdb-server $OVS_RUNDIR/conf.db --remote=punix:$OVS_RUNDIR/db.sock $d 2>/dev/null
  ovs-vsctl --no-wait init -- add-br ovs0 -- set bridge ovs0 datapath_type=netdev
  ovs-vswitchd $d 2>/dev/null
  ovs-vsctl --timeout=10 add-port ovs0 up0 -- add-port ovs0 tap1 tag=10 protected=true \\
    -- add-port ovs0 tap2 tag=20 vlan_mode=native-untagged trunks=30,40`);
const daemon = (name: string): number => Number(readFileSync(`${OWN}/${name}.pid`, 'utf8'));
const ports = (): string[] => sh('ovs-vsctl --timeout=10 list-ports ovs0').trim().split('\n');
const marks = (port: string): string =>
  sh(`ovs-vsctl --timeout=10 get port ${port} tag vlan_mode trunks protected`)
    .trim()
    .replaceAll('\n', ' ');

const nics = await readNics([nic(1), nic(2)], signal);
const looks = new PortLooks();
const changes = async (): Promise<string[]> =>
  changedPorts(nics, await looks.look(nics, signal)).map(({ words }) => words);
const same = await changes();
sh('ovs-vsctl --timeout=10 set port tap1 tag=11 protected=false');
const changed = await changes();
sh('ovs-vsctl --timeout=10 set port tap1 tag=10 protected=true');
const made: Record<string, string> = {};
for (const each of nics) {
  const mapping = mapNic(each, { asked: {}, configured: {} }, await readNetwork({}, signal));
  if (!mapping.ok) throw new Error(mapping.what);
  // As a mover that takes over would, twice.
  for (const _time of [1, 2]) await makePort(mapping.landing, `gw${each.id}`, {}, signal);
  made[`gw${each.id}`] = marks(`gw${each.id}`);
}
const [during, links] = [ports(), sh('ip -br link show up')];
for (const _time of [1, 2]) await removePort('gwnet1', signal);
const after = ports();
// The switch is gone, its database is there.
process.kill(daemon('ovs-vswitchd'), 'SIGKILL');
await removePort('gwnet2', signal);
const withoutSwitch = ports();
const bridges = async (): Promise<string[]> => {
  const { ovsPorts } = await readNetwork({}, signal);
  return [...new Set(ovsPorts.map(({ bridge }) => bridge))];
};
process.kill(daemon('ovsdb-server'), 'SIGSTOP');
const [silent, unattached] = [await bridges(), await readNics([nic(1)], signal)];
process.kill(daemon('ovsdb-server'), 'SIGCONT');
const again = await bridges();
process.kill(daemon('ovsdb-server'), 'SIGKILL');
const gone = await bridges();
await removePort('tap1', signal);
const left = sh('ls /sys/class/net').includes('tap1');
process.stdout.write(
  JSON.stringify({
    attachments: nics.map(({ attachment }) => attachment),
    same,
    changed,
    made,
    during,
    isUp: links.includes('gwnet1'),
    after,
    withoutSwitch,
    silent,
    unattached,
    again,
    gone,
    left,
  }),
);
