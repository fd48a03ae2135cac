import { LAB_MANAGERS, LAB_STORAGE } from '../plan.ts';
import { spec, type Flag } from '../../src/cli/verb.ts';

const name = {
  kind: 'text',
  value: 'name',
  summary: "the lab's name, several can be up at once (default: GODWIT_LAB, or lab)",
} as const satisfies Flag;

const lab = {
  kind: 'text',
  value: 'name',
  summary: 'the lab it is in (default: GODWIT_LAB, or lab)',
} as const satisfies Flag;

const guest = { kind: 'guest', summary: "the guest's name", required: true } as const;

export const labUpSpec = spec({
  name: 'up',
  summary: 'build a lab: hosts as network namespaces with an agent each, a client, and a link',
  details:
    'Asked again for the same lab it does nothing. Without root the lab lives in a user namespace of ' +
    'its own, which needs a /dev/net/tun that users may open.',
  flags: {
    name,
    hosts: { kind: 'count', summary: 'how many, called a, b, c, ...', preset: '2' },
    link: { kind: 'rate', summary: "cap of each host's migration link, both ways, such as 1gbit" },
    delay: { kind: 'duration', summary: 'round trip between two hosts, such as 20ms' },
    paths: {
      kind: 'count',
      summary: 'migration links of each host, each a network of its own',
      preset: '1',
    },
    storage: {
      kind: 'choice',
      choices: LAB_STORAGE,
      summary:
        "where guests' disks lie: in one directory of all hosts, in one of each, or (as root) on an NFS export, an iSCSI target or a Ceph of the lab's own (default: shared; local with libvirt)",
    },
    network: {
      kind: 'choice',
      choices: ['bridge', 'vxlan', 'routed', 'vlan', 'ovs'],
      summary:
        'how guests are joined: one segment, one over tunnels, none but routes, a VLAN, or a VLAN of Open vSwitch',
      preset: 'bridge',
    },
    with: {
      kind: 'choice',
      choices: LAB_MANAGERS,
      summary:
        "who runs the guests: a libvirt on each host, a podman on each host for containers (both as root), or a simulated vCenter with guests next to the lab's (default: Godwit's driver)",
    },
    containers: {
      kind: 'switch',
      summary: 'hosts take containers too (as root, with runc and CRIU)',
    },
  },
  examples: [
    'lab up',
    'lab up --hosts 3 --link 1gbit --delay 20ms',
    'lab up --paths 2',
    'lab up --network routed',
    'lab up --storage nfs',
    'lab up --storage rbd',
    'lab up --containers',
    'lab up --with libvirt',
    'lab up --with vsphere',
  ],
  json: '{ name, dir, rootless, linkBytesPerSecond?, delayMs?, network?, manager?, controller?: { socket, manager }, nfs?, iscsi?, rbd?: { url, serverUp }, hosts: [{ name, address, furtherAddresses?, agentSocket, agentUp }], guests: [] }',
});

export const labDownSpec = spec({
  name: 'down',
  summary: 'take a lab down with everything that runs in it',
  flags: { name },
  examples: ['lab down', 'lab down --name demo'],
  json: '{ name, removed }',
});

export const labStatusSpec = spec({
  name: 'status',
  summary: 'show the hosts, guests and clients of a lab',
  flags: { name },
  examples: ['lab status'],
  json: 'as `lab up`, with guests: [{ name, address, startedOn, memoryBytes, seen: [{ host, status, pid }], probe? }]',
});

export const labGuestSpec = spec({
  name: 'guest',
  summary: 'boot a small Linux guest that dirties memory and serves a counter',
  details:
    'It keeps a checksummed working set in memory, of which half is rewritten at the dirty rate, and ' +
    'waits until that is there.',
  args: { guest },
  flags: {
    lab,
    host: { kind: 'host', value: 'host', summary: 'the host to start it on', preset: 'a' },
    memory: { kind: 'bytes', summary: "the guest's memory", preset: '512M' },
    workingSet: { kind: 'bytes', summary: 'checksummed memory (default: a quarter of --memory)' },
    dirty: { kind: 'rate', summary: 'memory to rewrite, such as 20MiB/s (default: none)' },
    disk: {
      kind: 'text',
      value: 'size[,thin]',
      summary:
        'a disk that it writes to: a raw file, or with `,thin` a qcow2 image that grows; a LUN or an image of RBD where the lab has those',
    },
    diskRate: {
      kind: 'rate',
      summary: 'what it writes to its disk (default: about 1 MiB/s in small pieces)',
    },
    vlan: {
      kind: 'count',
      summary: 'the VLAN that it is in, in a lab of Open vSwitch (default: 10, as the client)',
    },
    load: {
      kind: 'choice',
      choices: ['pieces', 'database'],
      summary: 'what it does with its disk: write pieces, or run SQLite on a file system',
      preset: 'pieces',
    },
    freePageHint: {
      kind: 'switch',
      summary: 'its balloon device says which pages are free while it moves',
    },
    qemu: {
      kind: 'text',
      value: 'version',
      summary: 'version (7.2) or path of the QEMU to run it',
    },
    machine: { kind: 'text', value: 'type', summary: "machine type (default: that QEMU's newest)" },
  },
  examples: [
    'lab guest web1 --host a --memory 512M --dirty 20MiB/s',
    'lab guest old --qemu 7.2',
    'lab guest db1 --disk 2G,thin',
    'lab guest db1 --disk 256M,thin --load database',
  ],
  json: '{ name, address, mac, uuid, startedOn, memoryBytes, staticBytes, dirtyBytes, dirtyBytesPerSecond, qemuVersion, machineType, accelerator, disks? }',
});

export const labContainerSpec = spec({
  name: 'container',
  summary: 'start a small container that dirties memory and serves a counter',
  details:
    'It keeps a checksummed working set in memory, of which half is rewritten at the dirty rate. The lab must have been ' +
    'built with `--containers`.',
  args: { guest },
  flags: {
    lab,
    host: { kind: 'host', value: 'host', summary: 'the host to start it on', preset: 'a' },
    workingSet: { kind: 'bytes', summary: 'checksummed memory', preset: '64M' },
    dirty: { kind: 'rate', summary: 'memory to rewrite, such as 1MiB/s (default: none)' },
  },
  examples: ['lab container box1 --host a --working-set 64M --dirty 1MiB/s'],
  json: '{ name, address, mac, startedOn, memoryBytes, staticBytes, dirtyBytes, dirtyBytesPerSecond }',
});

export const labStopSpec = spec({
  name: 'stop',
  summary: 'end a guest of the lab, wherever it is now',
  args: { guest },
  flags: { lab },
  examples: ['lab stop web1'],
  json: '{ guest, stopped }',
});

export const labVerifySpec = spec({
  name: 'verify',
  summary:
    'have a guest read its working set, disks and database again and compare them with what it wrote',
  details:
    'The exit code is 5 when memory, a disk or a row of the database is not what was written.',
  args: { guest },
  flags: { lab },
  examples: ['lab verify web1'],
  json: '{ guest, ok, hash, badChunks, diskChunks, badDiskChunks, database?: { commits, rows, badRows, integrity }, writers, bootId, dirtyBytesPerSecond }',
});

export const labClientSpec = spec({
  name: 'client',
  summary: 'talk to a guest over one TCP connection, and show what the client saw',
  details:
    'The first call opens the connection and leaves a client behind that sends a numbered line every ' +
    '3 ms; each call shows the longest time without an answer since the one before.',
  args: { guest },
  flags: {
    lab,
    stop: { kind: 'switch', summary: 'end the client' },
  },
  examples: ['lab client web1', 'lab client web1 --stop'],
  json: '{ guest, connectionKept, clientGapMs, typicalGapMs, ownStallMs, sent, received, lost, doubled, localPort }',
});

export const labProbeSpec = spec({
  name: 'probe',
  summary: 'watch a guest from a host of the lab, and show the longest time without an answer',
  details:
    'What agents of other hosts do while a guest is moved. Without --kind, the first question that the guest ' +
    'answers from there is the one: ARP in its segment, ICMP, a TCP connection (a refusal is an answer), HTTP.',
  args: { guest },
  flags: {
    lab,
    from: {
      kind: 'host',
      value: 'host',
      summary: 'the host to watch from, or `client` (default: one that the guest does not run on)',
    },
    kind: {
      kind: 'choice',
      choices: ['auto', 'arp', 'icmp', 'tcp', 'http'],
      summary: 'what the guest is asked',
      preset: 'auto',
    },
    port: { kind: 'count', summary: 'for TCP (default: 9, closed nearly everywhere) or HTTP (80)' },
    for: { kind: 'duration', summary: 'how long, from its first answer on', preset: '10s' },
  },
  examples: ['lab probe web1', 'lab probe web1 --from client --kind icmp --for 30s'],
  json: '{ host, kind, address, intervalMs, gapMs, gapAtMs, isOpen, sent, answered, ownStallMs, watchedMs } or { host, notTried }',
});
