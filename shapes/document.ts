import { ASIDE, type AsideName } from './aside.ts';
import { STARTERS, type ShapeExpectation, type Shape } from './shape.ts';

const HEADINGS: Readonly<Record<Shape['by'], string>> = {
  libvirt: 'libvirt',
  'Proxmox VE': 'Proxmox VE',
  Nova: 'OpenStack Nova',
  script: 'By hand and from scripts',
  trait: 'Single traits',
};

/** What an owner sets at the host, and no line shows. */
const HOST_SETTINGS: readonly string[] = [
  '## Settings of its host',
  '',
  'The destination makes a process, a cgroup and ports of its own. This is what becomes of settings that somebody made for',
  'the guest at its host. Those of its ports are listed [with the network](network.md#all-settings-of-a-host-that-are-bound-to-a-port).',
  '',
  '| setting | what becomes of it | why, or where to look |',
  '| --- | --- | --- |',
  '| niceness and scheduling policy of the process and its threads, processors of each thread | warned (check [`process-settings`](checks.md#the-checks)) | `/proc/PID/stat`, `/proc/PID/status` |',
  '| OOM score | warned if it differs from the agent’s | `/proc/PID/oom_score_adj` |',
  '| cgroup, version 2: `cpu.max`, `cpu.weight`, `cpu.uclamp.*`, `cpuset.*`, `memory.*`, `io.max`, `io.weight`, `io.latency`, `io.prio.class`; version 1: shares, quota, memory limits, `blkio.throttle.*` | warned | files of the cgroup |',
  '| limits of the slices above, `pids.max`, `hugetlb.*`, `rdma.max` | not looked for: managers set them for all of their guests | files of the cgroups |',
  '| resource limits of time, memory and file size | warned | `/proc/PID/limits` |',
  '| other resource limits | not looked for: each manager sets its own | `/proc/PID/limits` |',
  '| I/O priority (`ionice`) | not seen: the kernel has no file for it, only a system call that Node does not offer | `ioprio_get(2)` |',
  '| core scheduling, timer slack of threads | not seen: only `prctl(2)` reads the first one; the second is not a setting that guests depend on | `PR_SCHED_CORE` |',
  '| memory bound to NUMA nodes by QEMU’s line | carried | check `memory` |',
  '| memory moved by hand (`migratepages`) | not looked for: it binds nothing | `/proc/PID/numa_maps` |',
  '| user, SELinux and AppArmor labels | made anew by the destination’s own rules | [security](security.md#a-hole-in-qemu) |',
  '| throughput limits of QEMU’s own (`throttling.*`, throttle nodes) | carried with the disk | |',
  '| scheduler, read-ahead and queue of a block device (`/sys/block`) | not looked for: they belong to the device of each host, and to all of its users | `/sys/block/DEVICE/queue` |',
  '| dm-crypt, multipath and LVM below a disk | not carried: the destination has a device of its own | [storage](storage.md) |',
  '| libvirt: `<cputune>`, `<numatune>`, `<memtune>`, `<blkiotune>`, `<iotune>`, `<resource>` | carried by libvirt, as a part of the XML | [domain XML](https://libvirt.org/formatdomain.html) |',
  '| libvirt: the same set by hand, past libvirt | not looked for: libvirt makes them from the XML | `virsh schedinfo`, `virsh blkiotune` |',
];

/** The page docs/guests.md. Pure. */
export function documentOf(shapes: readonly Shape[]): string {
  const moving = shapes.filter(({ expected }) => expected.is !== 'refused');
  const whole = shapes.filter((shape) => shape.whole === true);
  const wholeMoving = whole.filter(({ expected }) => expected.is !== 'refused');
  return [
    '# Guests as others start them',
    '',
    '`npm run shapes -- --write` makes this page from the table in `shapes/table/`; a test holds them equal. `npm run shapes`',
    'starts each of these guests by hand, moves it there and back, and holds what happens against this table: its memory is',
    'whole, and its description before and after is the same. `--only PATTERN` picks some, `--all` runs each by both modes on',
    'each QEMU of the machine.',
    '',
    `${shapes.length} shapes: ${moving.length} move, ${shapes.length - moving.length} are refused. Of ${whole.length} whole lines of managers and scripts ${wholeMoving.length} move.`,
    '',
    'The lines of libvirt, Proxmox VE and Nova have one option more than their managers give: a second QMP socket for Godwit',
    '(`-qmp unix:...`, [how to give one](tasks.md#a-guest-whose-manager-holds-its-monitor)). Those called `no-second-monitor` are',
    'without it. Godwit lists such a guest and does not move it.',
    '',
    'A tiny guest that sums its memory runs in place of an operating system. One whole system is moved by a test of its own:',
    '[Debian with PostgreSQL](performance.md#a-database) on UEFI firmware, with a TPM. Nobody has moved a Windows: the lines',
    'for it have the tiny guest, too. What a line has that the machine of the trial lacks is put aside by rules, named in the',
    'last column:',
    '',
    '| rule | why |',
    '| --- | --- |',
    ...Object.entries(ASIDE).map(([name, { why }]) => `| \`${name}\` | ${why} |`),
    ...STARTERS.flatMap((by) =>
      tableOf(
        by,
        shapes.filter((shape) => shape.by === by),
      ),
    ),
    '',
    ...HOST_SETTINGS,
    '',
  ].join('\n');
}

function tableOf(by: Shape['by'], shapes: readonly Shape[]): string[] {
  if (shapes.length === 0) return [];
  return [
    '',
    `## ${HEADINGS[by]}`,
    '',
    '| shape | what is particular | becomes | put aside |',
    '| --- | --- | --- | --- |',
    ...shapes.map(({ name, what, expected, aside, whole, oneVersion }) => {
      const line = `${what}${whole === true ? ' (a whole line)' : ''}${oneVersion === undefined ? '' : `; tried between equal versions of QEMU alone: ${oneVersion}`}`;
      return `| \`${name}\` | ${cell(line)} | ${cell(becomes(expected))} | ${rules(aside)} |`;
    }),
  ];
}

function becomes(expected: ShapeExpectation): string {
  switch (expected.is) {
    case 'moved':
      return 'moved';
    case 'warned':
      return `moved, with a warning: ${expected.of.map((each) => `\`${each}\``).join(', ')}`;
    case 'refused':
      return `refused: \`${expected.code}\` (${expected.says})`;
  }
}

function rules(aside: readonly AsideName[]): string {
  return aside.filter((name) => name !== 'program').join(', ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
