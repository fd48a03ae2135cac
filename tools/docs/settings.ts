/** The meaning of each setting, for docs/configuration.md. Types, bounds and defaults come from the schemas. */
export interface Setting {
  readonly means: string;
  /** The value if the setting is absent and the schema has no default. */
  readonly absent?: string;
}

type Settings = Readonly<Record<string, string | Setting>>;

export const AGENT: Settings = {
  name: 'this host’s name, as in its certificate',
  address: 'host:port of the agent for other hosts; memory arrives at the same host part',
  addresses: 'further host:port of this host, over other links: [several links](several-links.md)',
  site: {
    means:
      'the site of this host on [the map of sites](sites.md#the-map-of-sites); a controller moves no guest to another site by its own choice',
    absent: 'a site without a name',
  },
  stateDir: 'the directory of everything that Godwit keeps on this host: [files](files.md)',
  pkiDir: { means: 'directory of `ca.crt`, `host.crt` and `host.key`', absent: '`stateDir`/pki' },
  caDir: 'directory of the CA, on the one host that lets others join',
  peers:
    'other hosts by name, `{ "address", "addresses" }` each, in addition to the fleet’s list, which has every host that joined. A host that is taken out has [no rights](security.md#hosts) any more',
  relays: 'relays, `{ "name", "address" }` each, for hosts of [other sites](sites.md)',
  drivers:
    'options of each driver by its name (next table); `false` instead of options switches a driver off: its guests are neither listed nor moved',
  qemu: 'the earlier name of `drivers.qemu.programs`, still read',
  qemuUser: 'the earlier name of `drivers.qemu.user`, still read',
  imageDirs: 'the earlier name of `drivers.qemu.imageDirs`, still read',
  bridges: 'bridge at the source → bridge here, if the names differ',
  storage:
    'where disks of guests may be: directories, block devices, NFS exports, iSCSI targets and RBD pools, in [these forms](storage.md#configuration)',
  'network.connections':
    'whether the [connections](network.md#connections) of a guest go along when it leaves; `none`: they are not taken either when a guest comes',
  'network.segmentCheck':
    'whether this host asks the [segment](network.md#whether-it-is-the-same-segment) of a guest for its addresses before the guest comes',
  'network.routedPrefixes':
    'networks in which [routed guests](network.md#routed-guests) may have their addresses',
  'network.guestVlans':
    'bridge → VLANs that [guests of other hosts may have](security.md#which-network-a-guest-gets); a bridge that is not named gives them any',
  'network.probe': {
    means:
      'how [other hosts probe guests](network.md#as-other-hosts-see-it) while they move: `addresses` (guest → its addresses, if no host can see them) and `laterMs` (how long a guest is probed after its move), or `"off"`',
    absent: 'by what the guest answers; ten minutes',
  },
  'guestLogs.directory': {
    means:
      'directory of the [logs of guests](files.md#logs-of-guests), best on a disk of their own',
    absent: 'each guest’s own directory in `stateDir`',
  },
  'guestLogs.bytes': 'bound of each log of a guest',
  'ports.from': 'first port for movers and memory: [ports](ports.md)',
  'ports.to': 'last port for movers and memory',
  guests:
    '`{ "name", "qmp" }` each: guests whose QMP socket no process names; `qmp` is the socket itself, not a link',
  'limits.migrationsIn': 'migrations to this host at once',
  'limits.migrationsInFromOne': {
    means: 'migrations from one host at once',
    absent: 'three quarters of `migrationsIn` with several peers, else all',
  },
  'limits.migrationsOut': 'migrations from this host at once',
  'limits.memoryReserveBytes': 'memory to leave free when a guest is admitted',
  'limits.storageReserveBytes': {
    means: 'room that copies of disks leave free in a file system of `storage`',
    absent: '5 % of the file system, at most 1 GiB',
  },
  'limits.bandwidth':
    '`{ "hours", "bytesPerS" }` each: the most that each leaving migration sends [by the time of day](steering.md#bandwidth-by-the-time-of-day)',
  'limits.sourceSilenceMs': {
    means:
      'how long the source of an arriving guest may be silent before this host [acts without it](lifecycle.md#takeover); 20 s if nothing depends on this host yet',
  },
  'processor.cgroup':
    'for [an agent in a container](host-in-a-container.md): the directory of the cgroup (v2) that counts as this host',
  'processor.cores': {
    means: 'processors of that cgroup',
    absent: 'its `cpu.max`; without a bound, all of the machine’s',
  },
  'cache.directory': {
    means: 'directory of the pages kept for [the wire](wire.md#using-it)',
    absent: '`stateDir`/cache/pages',
  },
  'cache.bytes': 'bound of the kept pages',
  'cache.scope': 'the guests that share the kept pages of a guest that leaves',
  'cache.tenants': 'guest → tenant, for the scope `tenant`',
  'cache.secretFile': {
    means: 'hex of at least 32 random bytes, the same on all hosts',
    absent: '`site.secret` in `pkiDir`',
  },
  'wire.cores': { means: 'processors that compress', absent: 'all but one' },
  'wire.bytesPerS': 'what all migrations from here may send together',
  'wire.connections': 'TLS connections of one migration',
  'wire.rates': 'host → bytes/s of the link to it, for `--path auto`',
  unencryptedMemory:
    'hosts with which memory may go [unencrypted](unencrypted-memory.md); both hosts have to name each other',
  'fencing.command':
    'program and arguments that prove another host to be off: [fencing](fencing.md)',
  'fencing.timeoutMs': 'deadline of the program',
  'fencing.silenceMs':
    'how long the other host’s kernel must be silent before the program is called',
  'fencing.controls': 'host:port of a router or a switch that answers, besides the fleet’s hosts',
  'hooks.directory': 'directory of the [hooks](hooks.md)',
  'hooks.noticeMayRefuse': {
    means: 'whether the hook `notice` [may refuse a migration](hooks.md#a-notice)',
    absent: '`false`',
  },
  ordersBySocket:
    'set by a controller for the agent of a [manager](fleet.md#managers): its unix socket is the controller’s alone',
  logLevel: 'level of the log',
};

/** Drivers parse their own sections. */
export const DRIVERS: Readonly<Record<string, Required<Setting>>> = {
  'drivers.qemu.programs': {
    means: 'QEMU binaries to offer, best first',
    absent: 'those on the PATH',
  },
  'drivers.qemu.user': {
    means:
      '`{ "from", "count" }`: range of user numbers, one for [the QEMU of each arriving guest](qemu-user.md); `"agent"`: QEMU runs as the agent does',
    absent: '`{ "from": 1879048192, "count": 16777216 }`',
  },
  'drivers.qemu.cgroup': {
    means:
      '`{ "memoryMarginBytes", "tasks" }`: what the [cgroup](security.md#a-hole-in-qemu) of such a QEMU allows besides its guest’s memory, processors and iothreads; `"none"`: it stays in the agent’s cgroup',
    absent: '`{ "memoryMarginBytes": 4294967296, "tasks": 4096 }`',
  },
  'drivers.qemu.baseline': {
    means: '[the processor that all hosts have](checks.md#a-processor-that-all-hosts-have)',
    absent: 'none',
  },
  'drivers.qemu.passthrough': {
    means:
      'devices of this host for arriving guests [in place of those passed through to them](drivers/qemu.md#devices-that-are-passed-through): PCI addresses or UUIDs',
    absent: 'none',
  },
  'drivers.qemu.devices': {
    means:
      'name → `{ "driver", ... }`: devices that [arriving guests may get](drivers/qemu.md#devices-that-are-plugged-in-there), as QEMU’s `device_add` takes them',
    absent: 'none',
  },
  'drivers.qemu.imageDirs': {
    means:
      'directories of kernels, initramfs and firmware; UEFI firmware also [where it is installed](drivers/qemu.md#uefi-firmware)',
    absent: '`/boot`, `/var/lib/godwit/images`, `/var/lib/libvirt/images`',
  },
  'drivers.qemu.luks': {
    means:
      '`{ "keyDir" }`: directory of the passphrases of [encrypted disks](storage.md#encrypted-disks-luks), by guest',
    absent: 'none',
  },
  'drivers.qemu.tpm': {
    means:
      '`{ "program", "keyDir" }`: the swtpm for the [TPMs](drivers/qemu.md#tpms) of arriving guests, and the directory of their passphrases',
    absent: 'the first swtpm on the PATH; none',
  },
  'drivers.criu': {
    means: 'containers of runc are listed and moved: [containers](drivers/criu.md)',
    absent: 'containers are not looked for',
  },
  'drivers.libvirt': {
    means: 'libvirt moves this host’s guests of libvirt: [libvirt](drivers/libvirt.md)',
    absent: 'such guests are listed, not moved',
  },
  'drivers.vsphere': {
    means: 'the vCenter whose guests this agent moves: [vSphere](drivers/vsphere.md)',
    absent: 'none',
  },
  'drivers.hyperv': {
    means: 'this agent speaks for a Hyper-V host: [Hyper-V](drivers/hyperv.md)',
    absent: 'none',
  },
};

export const CONTROLLER: Settings = {
  name: 'this controller’s name, as in its certificate',
  address: 'host:port of its API for agents and people with certificates',
  stateDir: 'directory of everything that the controller keeps on its host',
  pkiDir: {
    means: 'directory of `ca.crt`, `controller.crt`, `controller.key` and `fleet.json`',
    absent: '`stateDir`/pki',
  },
  hosts:
    'hosts to follow besides the members of the fleet’s list, `{ "address", "addresses" }` each',
  database: {
    means:
      '`{ "sqlite": FILE }`, or `{ "postgres": { "url", "passwordFile", "caFile" } }` for [several controllers](fleet.md#the-database)',
    absent: '`stateDir`/controller.db',
  },
  'web.address':
    'host:port of the [web listener](fleet.md#the-web-listener): dashboard, API, these pages',
  'web.certFile': {
    means: 'PEM of its certificate with its chain; belongs together with `keyFile`',
    absent: 'the controller’s own',
  },
  'web.keyFile': { means: 'PEM of its key', absent: 'the controller’s own' },
  'web.url': {
    means: '`https://HOST[:PORT]` for browsers, if a proxy changes `Host`',
    absent: 'the browser’s own `Host`',
  },
  'web.oidc': 'a provider with which [people sign in](sign-in.md)',
  'history.days': 'days for which ended migrations and requests are kept',
  'history.most': 'migrations that are kept',
  'history.maxBytes': { means: 'bytes of kept reports', absent: '5 KiB for each of `most`' },
  'audit.days': 'days for which entries of the [audit log](security.md#the-audit-log) are kept',
  'audit.most': 'entries that are kept',
  programs: 'name → `{ "file", "timeoutMs" }`: programs that [rolls](fleet.md#rolling) may run',
  'health.policy': '[hosts whose hardware fails](fleet.md#health): `drain` also drains them',
  'health.failingMs': 'a host is ill after failing for this long',
  'health.wellMs': 'a host is well again after this long without a failure',
  'health.mostDrained': 'ill hosts that are drained by the policy at a time',
  'policies.lookMs': 'interval of the looks of [policies](policies.md#what-a-look-rests-on)',
  'power.program':
    '`{ "file", "timeoutMs" }`: [puts hosts to sleep and wakes them](policies.md#sleep)',
  'power.hosts': 'hosts that may be put to sleep',
  'power.emptyMs': 'a host may sleep after this long without a guest',
  'power.spare': 'empty hosts that stay on, the largest ones',
  'power.wakeMs': 'deadline for a woken host to answer',
  'recover.policy': '[guests of dead hosts](fleet.md#recover): `start` starts them elsewhere',
  'recover.silentMs': 'a host is dead for this policy after this silence',
  sites: 'site → `{ "networks" }`: [the map of sites](sites.md#the-map-of-sites)',
  siteLinks: 'lines between sites; a pair without one has no known capacity',
  'traces.url': 'receiver of [traces](monitoring.md#traces), OTLP over HTTP',
  'traces.caFile': { means: 'PEM of the receiver’s CA', absent: 'the CAs of Node' },
  logLevel: 'level of the log',
};

export const RELAY: Settings = {
  name: 'this relay’s name, as in its certificate',
  address: 'host:port for connections of the hosts',
  addresses: 'further host:port',
  pkiDir: 'directory of `ca.crt`, `relay.crt`, `relay.key` and the fleet’s list',
  hosts: 'hosts that may use it besides the members of the fleet’s list',
  logLevel: 'level of the log',
};
