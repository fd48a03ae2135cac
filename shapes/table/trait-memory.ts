import { MOVED, refused, warned, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

const backend = (type: string, more = ''): string =>
  `-M q35,memory-backend=m0 -object memory-backend-${type},id=m0,size=128M${more}`;

/** How a host keeps a guest's memory. */
export const MEMORY_TRAITS: readonly Shape[] = [
  trait(
    'memory-file-private',
    'memory in /dev/shm that nothing else sees',
    backend('file', ',mem-path=/dev/shm'),
    MOVED,
  ),
  trait(
    'memory-file-shared',
    'memory in /dev/shm that is shared, as for back-ends beside QEMU',
    backend('file', ',mem-path=/dev/shm,share=on'),
    MOVED,
  ),
  trait(
    'memory-file-named',
    'memory in a file that has a name, as libvirt’s `<source type="file"/>` with shared access',
    `-M q35,memory-backend=pc.ram -object '{"qom-type":"memory-backend-file","id":"pc.ram","mem-path":"/var/lib/libvirt/qemu/ram/1-web1/pc.ram","share":true,"x-use-canonical-path-for-ramblock-id":false,"size":134217728}'`,
    warned('no file there'),
  ),
  trait('memory-path', '`-mem-path` in /dev/shm', '-M q35 -mem-path /dev/shm', MOVED),
  trait(
    'memory-path-huge-pages',
    '`-mem-path` on huge pages, all of them taken at the start',
    '-M q35 -mem-path /dev/hugepages/vm -mem-prealloc',
    MOVED,
    { host: { hugePages: { '/dev/hugepages/vm': 160 } } },
  ),
  trait(
    'memory-huge-pages',
    'memory on huge pages as libvirt’s `<hugepages/>` makes it',
    `-M q35,memory-backend=pc.ram -object '{"qom-type":"memory-backend-file","id":"pc.ram","mem-path":"/dev/hugepages/libvirt/qemu/1-web1","prealloc":true,"x-use-canonical-path-for-ramblock-id":false,"size":134217728}'`,
    MOVED,
    { host: { hugePages: { '/dev/hugepages/libvirt/qemu/1-web1': 160 } } },
  ),
  trait(
    'memory-huge-pages-short',
    'the same, and a host that has no more of them',
    `-M q35 -mem-path /dev/hugepages/vm`,
    refused('GODWIT_HOST_LACKS', 'huge pages of 2 MiB for the guest’s memory'),
    { host: { hugePages: { '/dev/hugepages/vm': 70 } } },
  ),
  trait(
    'memory-memfd',
    'memory without a name, shared',
    backend('memfd', ',share=on,seal=on'),
    MOVED,
  ),
  trait(
    'memory-lasting',
    'persistent memory in a file of its host',
    `-M q35,nvdimm=on -m 128,slots=2,maxmem=1G -object memory-backend-file,id=p0,size=16M,share=on,mem-path=/srv/vm/pmem.img -device nvdimm,memdev=p0,id=nv0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'lasts in a file'),
  ),
  trait(
    'numa-two-nodes',
    'two NUMA nodes, each with memory of its own and a distance',
    `-M q35 -smp 2 -object memory-backend-ram,id=n0,size=64M -object memory-backend-ram,id=n1,size=64M -numa node,nodeid=0,cpus=0,memdev=n0 -numa node,nodeid=1,cpus=1,memdev=n1 -numa dist,src=0,dst=1,val=21`,
    MOVED,
  ),
  trait(
    'numa-bound',
    'memory that is bound to a node of its host, as libvirt’s `<numatune>` binds it',
    `-M q35 -object '{"qom-type":"memory-backend-ram","id":"ram-node0","size":134217728,"host-nodes":[0],"policy":"bind"}' -numa node,nodeid=0,cpus=0,memdev=ram-node0`,
    MOVED,
  ),
  trait(
    'dimm',
    'a DIMM that was plugged in while it ran',
    `-M q35 -m 128,slots=2,maxmem=1G`,
    MOVED,
    {
      once: [
        ['object-add', { 'qom-type': 'memory-backend-ram', id: 'dm', size: 134_217_728 }],
        ['device_add', { driver: 'pc-dimm', id: 'dimm0', memdev: 'dm' }],
      ],
    },
  ),
];
