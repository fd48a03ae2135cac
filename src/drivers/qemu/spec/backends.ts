import { valuesOf, type CommandLine } from './cmdline.ts';
import type { GuestFacts } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { FileNames } from './names.ts';
import { parseOption, switchValue, type OptionString } from './options.ts';
import { PORT_OPTIONS, type ChardevBackend, type GuestSpec } from './schema.ts';
import { tpmBackend } from './tpm.ts';

/** Maps a command line's character devices, serial ports and monitors to the destination's. Pure. */
export interface Backends {
  readonly chardevs: GuestSpec['chardevs'];
  readonly ports: GuestSpec['ports'];
  readonly monitors: GuestSpec['monitors'];
  readonly sockets: readonly string[];
  readonly findings: readonly Finding[];
}

type LiveChardev = GuestFacts['chardevs'][number];

interface Context {
  readonly names: FileNames;
  readonly findings: Finding[];
  readonly monitors: { kind: 'qmp' | 'hmp'; name: string }[];
  readonly sockets: string[];
  firstQmp: boolean;
}

/** `plugged`: character devices added at run time that a device uses. */
export function describeBackends(
  line: CommandLine,
  plugged: readonly LiveChardev[] = [],
): Backends {
  const context: Context = {
    names: new FileNames(),
    findings: [],
    monitors: [],
    sockets: [],
    firstQmp: true,
  };
  const declared = new Map<string, OptionString>();
  for (const value of valuesOf(line, 'chardev')) {
    const option = parseOption(value, true);
    const id = option.props.get('id');
    if (id !== undefined) declared.set(id, option);
  }
  const ofMonitors = monitorChardevs(line, declared, context);
  const ofTpm = tpmBackend(line)?.chardev;
  for (const name of ['qmp', 'monitor'] as const) {
    for (const value of valuesOf(line, name)) addMonitor(name === 'qmp', value, context);
  }
  const chardevs = [...declared]
    .filter(([id]) => !ofMonitors.has(id) && id !== ofTpm)
    .flatMap(([id, option]) => {
      const backend = fromChardev(id, option, context);
      return backend === undefined ? [] : [{ id, backend }];
    });
  for (const { id, filename } of plugged) {
    if (declared.has(id)) continue;
    const backend = fromChardev(id, optionOf(filename), context);
    if (backend !== undefined) chardevs.push({ id, backend });
  }
  const ports = PORT_OPTIONS.flatMap((option) =>
    valuesOf(line, option).flatMap((value) => {
      const backend = fromLegacy(`-${option}`, value, context);
      return backend === undefined ? [] : [{ option, backend }];
    }),
  );
  const { monitors, sockets, findings } = context;
  return { chardevs, ports, monitors, sockets, findings };
}

function monitorChardevs(
  line: CommandLine,
  declared: ReadonlyMap<string, OptionString>,
  context: Context,
): Set<string> {
  const ids = new Set<string>();
  for (const value of valuesOf(line, 'mon')) {
    const option = parseOption(value, true);
    const id = option.props.get('chardev') ?? option.head ?? '';
    const chardev = declared.get(id);
    if (chardev === undefined) continue;
    ids.add(id);
    const path = chardev.props.get('path');
    const listens = switchValue(chardev.props.get('server')) === true;
    if (chardev.head !== 'socket' || path === undefined || !listens) continue;
    recordMonitor(option.props.get('mode') === 'control', path, context);
  }
  return ids;
}

/** Handles `-qmp unix:PATH,server=on,wait=off`; `-qmp chardev:ID` is found through its chardev. */
function addMonitor(qmp: boolean, value: string, context: Context): void {
  const path = unixPath(value);
  if (path !== undefined) recordMonitor(qmp, path, context);
}

function recordMonitor(qmp: boolean, path: string, context: Context): void {
  if (qmp) context.sockets.push(path);
  if (qmp && context.firstQmp) {
    context.firstQmp = false;
    return;
  }
  context.monitors.push({ kind: qmp ? 'qmp' : 'hmp', name: context.names.take(path) });
}

function unixPath(value: string): string | undefined {
  const match = /^unix:(.+)$/.exec(value);
  if (match?.[1] === undefined) return undefined;
  const { head, props } = parseOption(match[1], true);
  return switchValue(props.get('server')) === true ? head : undefined;
}

/** Converts QEMU's name of a character device to its option: `pty:/dev/pts/3`, `disconnected:unix:PATH,server=on`. */
function optionOf(filename: string): OptionString {
  const [, kind = '', rest = ''] = /^(?:disconnected:)?([a-z]+)(?::(.*))?$/s.exec(filename) ?? [];
  if (kind !== 'unix') return { head: kind, props: new Map() };
  const [, path = '', server] = /^(.*?)(,server(?:=on)?)?(?: <-> .*)?$/s.exec(rest) ?? [];
  const listens = server === undefined ? 'off' : 'on';
  return {
    head: 'socket',
    props: new Map([
      ['path', path],
      ['server', listens],
    ]),
  };
}

function fromChardev(
  id: string,
  option: OptionString,
  context: Context,
): ChardevBackend | undefined {
  const { head = '', props } = option;
  const path = props.get('path') ?? '';
  if (head !== 'socket' && props.has('logfile')) {
    context.findings.push(changed(id, `chardev ${head}`, 'is not logged at the destination'));
  }
  switch (head) {
    case 'null':
    case 'pty':
      return { kind: head };
    case 'ringbuf': {
      const size = props.get('size');
      return { kind: 'ringbuf', props: size === undefined ? {} : { size } };
    }
    case 'stdio':
    case 'vc':
    case 'spicevmc':
    case 'spiceport':
      context.findings.push(changed(id, head, 'is connected to nothing at the destination'));
      return { kind: 'null' };
    case 'file':
      return { kind: 'file', name: context.names.take(path) };
    case 'socket':
      if (path !== '' && switchValue(props.get('server')) === true) {
        const mux = switchValue(props.get('mux')) === true;
        const name = context.names.take(path);
        const log = props.get('logfile');
        return log === undefined
          ? { kind: 'socket', name, mux }
          : { kind: 'socket', name, mux, log: context.names.take(log) };
      }
      break;
    default:
  }
  const reason = 'it is connected to something outside of the guest that stays on this host';
  context.findings.push(unmovable(id, `chardev ${head}`, reason));
  return undefined;
}

function fromLegacy(option: string, value: string, context: Context): ChardevBackend | undefined {
  const bare = value.replace(/^mon:/, '');
  if (bare !== value) {
    context.findings.push(changed(option, value, 'loses the monitor that was mixed into it'));
  }
  const [kind, rest] = splitOnce(bare, ':');
  const { head = '', props } = parseOption(rest, true);
  switch (kind) {
    case 'null':
    case 'none':
    case 'pty':
      return { kind };
    case 'stdio':
    case 'vc':
      context.findings.push(changed(option, kind, 'is connected to nothing at the destination'));
      return { kind: 'null' };
    case 'chardev':
      return { kind: 'chardev', id: head };
    case 'file':
      return { kind: 'file', name: context.names.take(head) };
    case 'unix':
      if (switchValue(props.get('server')) === true) {
        return { kind: 'socket', name: context.names.take(head), mux: false };
      }
      break;
    default:
  }
  const reason = 'it is connected to something outside of the guest that stays on this host';
  context.findings.push(unmovable(option, value, reason));
  return undefined;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
