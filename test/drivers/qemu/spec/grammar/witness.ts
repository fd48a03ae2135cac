import path from 'node:path';
import { pairs } from './options.ts';

/**
 * Looks at a command line of QEMU as somebody who knows only QEMU, the host and which words Godwit writes: written
 * without the grammar, so that both would have to be wrong in the same way.
 */
export interface Host {
  readonly guestDir: string;
  readonly logDir: string;
  /** Every path that Godwit chose itself. */
  readonly paths: ReadonlySet<string>;
  readonly taps: ReadonlySet<string>;
  readonly pipes: boolean;
}

/** What an attacker puts into everything that it makes up: it may come out as text for the guest, and nowhere else. */
export const MARK = 'mArK';

const FLAGS = new Set(
  'S usb no-reboot no-shutdown no-acpi no-hpet no-fd-bootchk nodefaults no-user-config'.split(' '),
);
const OPTIONS = new Set(
  (
    'name uuid pidfile msg machine accel cpu m smp global boot rtc smbios numa overcommit action watchdog-action k vga ' +
    'nic net audiodev drive usbdevice bios kernel initrd dtb append fw_cfg object qmp chardev mon monitor serial ' +
    'parallel debugcon virtioconsole netdev blockdev device display incoming tpmdev'
  ).split(' '),
);
/** Properties of devices and objects that QEMU opens, connects to or runs, or takes for an open file. */
const OF_A_HOST = new Set(
  (
    'file filename path sysfsdev host hostdevice hostbus hostaddr hostport evdev fd fds vhostfd vhostfds ' +
    'ebpf-rss-fds frudatafile sdrfile pcap rootdir ibdev mad-chardev host_ip host_port mem-path script downscript ' +
    'helper br exec cdat hidraw db wwpn fsdev cert1 cert2 cert3 splash logfile config dump-path keyfile dir ' +
    'kernel initrd dtb firmware'
  ).split(' '),
);
/** Properties whose text only the guest sees. */
const TEXTS = new Set(
  'serial model product vendor ver name hba_serial osk device_id model-id hv-vendor-id'.split(' '),
);
/** Of a machine or processor, which QEMU has or does not start. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]*$/;
const PLAIN = /^[A-Za-z0-9._:#+-]*$/;

interface Option {
  readonly name: string;
  readonly value: string;
}

/** What is wrong with a command line; nothing where each word is Godwit’s own or a typed value within one. */
export function objections(argv: readonly string[], host: Host): string[] {
  const found: string[] = [];
  const options = split(argv, found);
  const ids = idsOf(options);
  for (const option of options) {
    for (const problem of look(option, host, ids)) {
      found.push(`-${option.name} ${option.value}: ${problem}`);
    }
  }
  return found;
}

function split(argv: readonly string[], found: string[]): Option[] {
  const options: Option[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    const name = word.slice(1);
    if (word.includes('\0')) found.push(`${JSON.stringify(word)} ends before its end`);
    if (!word.startsWith('-')) found.push(`${JSON.stringify(word)} is a word of its own`);
    else if (FLAGS.has(name)) options.push({ name, value: '' });
    else if (OPTIONS.has(name)) options.push({ name, value: argv[++at] ?? '' });
    else found.push(`${JSON.stringify(word)} is no option that Godwit writes`);
  }
  return options;
}

function idsOf(options: readonly Option[]): ReadonlyMap<string, ReadonlySet<string>> {
  const ids = new Map<string, Set<string>>();
  for (const { name, value } of options) {
    if (name === 'append') continue;
    const { head, all } = pairs(value);
    const kind = name === 'object' ? head.replace(/-.*/, '') : name;
    const id = all.find(([key]) => key === 'id' || key === 'node-name')?.[1];
    if (id !== undefined) ids.set(kind, (ids.get(kind) ?? new Set()).add(id));
  }
  return ids;
}

function look(option: Option, host: Host, ids: ReturnType<typeof idsOf>): string[] {
  const { name, value } = option;
  // Its whole value is the guest's, also where it looks like something else.
  if (name === 'append') return [];
  const { head, all } = pairs(value);
  switch (name) {
    case 'fw_cfg':
      return unknownKeys(all, ['name', 'string']);
    case 'smbios':
      return all.filter(([key]) => /file|path/.test(key) || !PLAIN.test(key)).map(([key]) => key);
    case 'kernel':
    case 'initrd':
    case 'dtb':
    case 'bios':
    case 'pidfile':
      return host.paths.has(value) ? [] : ['a path that Godwit did not choose'];
    case 'blockdev':
      return lookAtImage(value, host);
    case 'qmp':
    case 'monitor':
    case 'serial':
    case 'parallel':
    case 'debugcon':
    case 'virtioconsole':
      return lookAtPort(value, host, ids);
    case 'chardev':
      return lookAtChardev(head, all, host);
    case 'mon':
      return value === 'godwit-oob,mode=control' && host.pipes ? [] : ['a monitor of its own'];
    case 'tpmdev':
      return head === 'emulator' ? lookAtProps(head, all, host, ids) : [`a ${head}`];
    case 'netdev':
      return lookAtNetdev(head, all, host);
    case 'device':
    case 'object':
      return lookAtProps(head, all, host, ids);
    case 'name':
      return /^guest=[A-Za-z0-9._:+-]*,debug-threads=on$/.test(value) ? [] : ['more than a name'];
    case 'machine':
      return [...(NAME.test(head) ? [] : ['no type']), ...lookAtPlain('', all)];
    case 'cpu':
      return lookAtPlain(
        NAME.test(head) ? '' : '/',
        all.filter(([key]) => !/^(vendor|model-id|hv-vendor-id)$/.test(key)),
      );
    case 'global':
      return lookAtGlobal(all);
    default:
      return lookAtPlain(head, all);
  }
}

function unknownKeys(all: readonly [string, string][], known: readonly string[]): string[] {
  return all.filter(([key]) => !known.includes(key)).map(([key]) => `${key} is not known`);
}

function lookAtPlain(head: string, all: readonly [string, string][]): string[] {
  const texts = [head, ...all.flat()];
  const names = all.filter(([key]) => OF_A_HOST.has(key)).map(([key]) => `${key} names a host’s`);
  const odd = texts.filter((text) => !/^[A-Za-z0-9._:#+ -]*$/.test(text) || text.includes(MARK));
  return [...names, ...odd.map((text) => `${JSON.stringify(text)} is no typed value`)];
}

function lookAtProps(
  head: string,
  all: readonly [string, string][],
  host: Host,
  ids: ReturnType<typeof idsOf>,
): string[] {
  const found = PLAIN.test(head) ? [] : ['an odd type'];
  if (/host|vfio|user|vdpa|vsock|passthr|redir|mtp|9p|file|secret|tls|authz/.test(head)) {
    found.push('a type of one host');
  }
  const seen = new Set<string>();
  for (const [key, held] of all) {
    if (seen.has(key)) found.push(`${key} twice`);
    seen.add(key);
    found.push(...lookAtProp(head, key, held, host, ids));
  }
  return found;
}

const REFERS: Readonly<Record<string, readonly string[]>> = {
  netdev: ['netdev'],
  drive: ['blockdev', 'drive'],
  memdev: ['memory'],
  iothread: ['iothread'],
  rng: ['rng'],
  audiodev: ['audiodev'],
  tpmdev: ['tpmdev'],
};

function lookAtProp(
  head: string,
  key: string,
  held: string,
  host: Host,
  ids: ReturnType<typeof idsOf>,
): string[] {
  const chardev = /^chardev\d?$/.test(key);
  if (key === 'romfile') return held === '' || host.paths.has(held) ? [] : ['a ROM of the host'];
  if (head === 'rng-random' && key === 'filename') {
    return held === '/dev/urandom' || held === '/dev/random' ? [] : ['random bytes of a file'];
  }
  if (!PLAIN.test(key) || key.includes(MARK)) return [`${key} is a name of its own`];
  if (OF_A_HOST.has(key)) return [`${key} names something of the host`];
  const kinds = chardev ? ['chardev'] : REFERS[key];
  if (kinds !== undefined) {
    const there = kinds.some((kind) => ids.get(kind)?.has(held) === true);
    return there && !/^(godwit|compat)/.test(held) ? [] : [`${key} is of nothing described`];
  }
  if (key === 'id') {
    // A name that a peer gives its own device; Godwit’s all begin like this.
    return PLAIN.test(held) && !/^(godwit|compat_monitor)/i.test(held) ? [] : ['an id of Godwit'];
  }
  if (TEXTS.has(key)) return [];
  return PLAIN.test(held) &&
    (!held.includes(MARK) || /^(bus|masterbus|bmc|display|primary-bus|failover_pair_id)$/.test(key))
    ? []
    : [`${key}=${JSON.stringify(held)} is no typed value`];
}

function lookAtGlobal(all: readonly [string, string][]): string[] {
  const [driver, property, value, ...more] = all;
  if (driver?.[0] !== 'driver' || property?.[0] !== 'property' || value?.[0] !== 'value') {
    return ['not in the long form'];
  }
  if (more.length > 0) return ['more than one property'];
  if (OF_A_HOST.has(property[1])) return [`${property[1]} names something of the host`];
  if (property[1] === 'romfile' && value[1] !== '') return ['a ROM of the host'];
  return TEXTS.has(property[1])
    ? []
    : lookAtPlain('', [
        [property[1], value[1]],
        ['driver', driver[1]],
      ]);
}

/** A file in a guest’s directory, that is none of Godwit’s own. */
function isIn(directory: string, file: string): boolean {
  const own =
    /^(qmp\.sock|qemu\.(pid|log)|oob\.(in|out)|guest\.json|incoming|(wire|disks|bases|compare)\.sock|godwit.*|\..*)$/;
  return path.dirname(file) === directory && !own.test(path.basename(file));
}

function lookAtChardev(head: string, all: readonly [string, string][], host: Host): string[] {
  const given = new Map(all);
  const id = given.get('id') ?? '';
  const file = given.get('path');
  if (head === 'pipe') {
    return host.pipes && id === 'godwit-oob' && file === path.join(host.guestDir, 'oob')
      ? []
      : ['a pipe of the host'];
  }
  const known = ['id', 'path', 'server', 'wait', 'mux', 'logfile', 'logappend', 'append', 'size'];
  const found = unknownKeys(all, known);
  if (!/^(null|pty|ringbuf|file|socket)$/.test(head)) found.push(`a ${head}`);
  if (!PLAIN.test(id) || /^(godwit|compat)/i.test(id)) found.push('an id of Godwit');
  const isTpm = file === path.join(host.guestDir, 'godwit-tpm.sock') && all.length === 2;
  if (head === 'socket' && isTpm) return found;
  if (head === 'socket' && given.get('server') !== 'on') found.push('it connects');
  const own = head === 'file' ? host.logDir : host.guestDir;
  if (file !== undefined && !isIn(own, file)) found.push(`${file} is Godwit’s`);
  const log = given.get('logfile');
  if (log !== undefined && !isIn(host.logDir, log)) found.push(`${log} is Godwit’s`);
  return found;
}

function lookAtPort(value: string, host: Host, ids: ReturnType<typeof idsOf>): string[] {
  if (/^(null|none|pty)$/.test(value)) return [];
  const chardev = /^chardev:(.*)$/s.exec(value)?.[1];
  if (chardev !== undefined) {
    return ids.get('chardev')?.has(chardev) === true && !chardev.startsWith('godwit')
      ? []
      : ['connected to nothing described'];
  }
  const file = /^file:([^,]*)$/s.exec(value)?.[1];
  const socket = /^unix:([^,]*),server=on,wait=off$/s.exec(value)?.[1];
  if (socket === path.join(host.guestDir, 'qmp.sock')) return [];
  const isOwn = file === undefined ? isIn(host.guestDir, socket ?? '') : isIn(host.logDir, file);
  return isOwn ? [] : ['a place of the host'];
}

function lookAtNetdev(head: string, all: readonly [string, string][], host: Host): string[] {
  const given = new Map(all);
  const id = given.get('id') ?? '';
  const found = PLAIN.test(id) && !id.startsWith('godwit') ? [] : ['an id of Godwit'];
  if (head === 'tap') {
    if (!host.taps.has(given.get('ifname') ?? '')) found.push('a tap that Godwit did not make');
    if (given.get('script') !== 'no' || given.get('downscript') !== 'no') found.push('a script');
    return [
      ...found,
      ...unknownKeys(all, ['id', 'ifname', 'script', 'downscript', 'vhost', 'queues']),
    ];
  }
  if (head === 'user') {
    const known =
      'id net host dns dhcpstart restrict ipv4 ipv6 hostname domainname ipv6-net ipv6-prefix ipv6-prefixlen ipv6-host ipv6-dns dnssearch hostfwd';
    return [...found, ...unknownKeys(all, known.split(' '))];
  }
  if (head === 'hubport') return [...found, ...unknownKeys(all, ['id', 'hubid'])];
  return [`a ${head}`];
}

function lookAtImage(value: string, host: Host): string[] {
  const { driver, filename } = JSON.parse(value) as { driver?: string; filename?: string };
  if (driver !== 'file') return driver === 'raw' || driver === 'qcow2' ? [] : [`a ${driver}`];
  return host.paths.has(filename ?? '') ? [] : ['an image that Godwit did not choose'];
}
