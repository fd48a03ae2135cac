import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { cpuProperties } from './cpu.ts';
import { blockdevWords, secretWords } from './disks/disks-argv.ts';
import { flashProperties } from './flash.ts';
import { boundHere, nodesOf } from './host-memory.ts';
import { readOption } from './grammar/options.ts';
import { knownAs } from '../../known-as.ts';
import { escapeComma, formatOption, type Scalar } from './options.ts';
import { PID_FILE, PIPES, PIPES_ID, QMP_SOCKET, TPM_SOCKET } from './names.ts';
import { userNetdevText } from './user-network.ts';
import type { ChardevBackend, DeviceSpec, GuestSpec, NetdevSpec } from './schema.ts';

export interface Placement {
  readonly guest: string;
  readonly guestDir: string;
  readonly logDir: string;
  readonly images: ReadonlyMap<keyof GuestSpec['images'], string>;
  readonly romfiles: ReadonlyMap<number, string>;
  readonly passthrough?: ReadonlyMap<number, string>;
  readonly disks: ReadonlyMap<string, string>;
  readonly passphrases?: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<string, string>;
  readonly features: readonly string[];
  readonly vhost: boolean;
  readonly nodes: ReadonlySet<number>;
  readonly pipes: boolean;
}

/** Command line, without the program, that creates the guest again: paused and waiting for its memory. Pure. */
export function buildArgv(spec: GuestSpec, place: Placement): string[] {
  return [
    ...identity(spec, place),
    ...machine(spec, place),
    ...spec.options.flatMap(optionWords),
    ...images(spec, place),
    ...spec.fwCfg.flatMap(({ name, string }) => [
      '-fw_cfg',
      formatOption(`name=${name}`, [['string', string]]),
    ]),
    ...spec.objects.flatMap(({ type, id, props }) => [
      '-object',
      objectText(type, id, boundHere(props, place.nodes)),
    ]),
    ...backends(spec, place),
    ...tpmWords(spec, place),
    ...spec.netdevs.flatMap((netdev) => ['-netdev', netdevText(netdev, place)]),
    ...secretWords(spec.blockNodes ?? [], place.disks, place.passphrases),
    ...blockdevWords(spec.blockNodes ?? [], place.disks),
    ...spec.devices.flatMap((device, index) => [
      '-device',
      deviceText(device, place.romfiles.get(index), place.passthrough?.get(index)),
    ]),
    '-display',
    'none',
    '-S',
    '-incoming',
    'defer',
  ];
}

/** Option in Godwit's form, not the received text. */
function optionWords({ name, value }: GuestSpec['options'][number]): string[] {
  const read = readOption(name, value);
  if (!read.ok) throw godwitError('GODWIT_INTERNAL', { what: `-${name} was not checked` });
  return read.value === undefined ? [`-${name}`] : [`-${name}`, read.value];
}

function identity(spec: GuestSpec, place: Placement): string[] {
  const name = formatOption(undefined, [
    ['guest', nameHere(spec, place)],
    ['debug-threads', 'on'],
  ]);
  return [
    '-name',
    name,
    ...(spec.uuid === undefined ? [] : ['-uuid', spec.uuid]),
    '-pidfile',
    path.join(place.guestDir, PID_FILE),
    '-msg',
    'timestamp=on',
  ];
}

/** Guest's own name if this host derives the admitted name from it; otherwise the admitted name. */
function nameHere({ name }: GuestSpec, { guest }: Placement): string {
  return name !== undefined && knownAs(name) === guest ? name : guest;
}

function machine(spec: GuestSpec, place: Placement): string[] {
  const settings = [...Object.entries(spec.machine.props), ...flashProperties(spec.flash)];
  const words = ['-machine', formatOption(spec.machine.type, settings)];
  words.push('-accel', formatOption(spec.accelerator.name, Object.entries(spec.accelerator.props)));
  if (spec.cpu !== undefined) {
    const { model, switches } = spec.cpu;
    words.push('-cpu', formatOption(model, cpuProperties(spec.cpu, switches, place.features)));
  }
  const { bytes, slots, maxBytes } = spec.memory;
  const memory: [string, Scalar][] = [['size', `${bytes}b`]];
  if (slots !== undefined) memory.push(['slots', slots]);
  if (maxBytes !== undefined) memory.push(['maxmem', `${maxBytes}b`]);
  words.push('-m', formatOption(undefined, memory));
  words.push('-smp', formatOption(undefined, Object.entries(spec.smp)));
  return words;
}

function images(spec: GuestSpec, place: Placement): string[] {
  const words: string[] = [];
  for (const slot of ['bios', 'kernel', 'initrd', 'dtb'] as const) {
    const file = place.images.get(slot);
    if (file !== undefined) words.push(`-${slot}`, file);
  }
  if (spec.append !== undefined) words.push('-append', spec.append);
  return words;
}

function backends(spec: GuestSpec, place: Placement): string[] {
  const words = [
    '-qmp',
    `unix:${escapeComma(path.join(place.guestDir, QMP_SOCKET))},server=on,wait=off`,
  ];
  if (place.pipes) {
    const pipe: [string, Scalar][] = [
      ['id', PIPES_ID],
      ['path', path.join(place.guestDir, PIPES)],
    ];
    words.push('-chardev', formatOption('pipe', pipe), '-mon', `${PIPES_ID},mode=control`);
  }
  for (const { kind, name } of spec.monitors) {
    const option = kind === 'qmp' ? '-qmp' : '-monitor';
    words.push(option, `unix:${escapeComma(path.join(place.guestDir, name))},server=on,wait=off`);
  }
  for (const { id, backend } of spec.chardevs) {
    words.push('-chardev', chardevText(id, backend, place));
  }
  for (const { option, backend } of spec.ports) {
    words.push(`-${option}`, portText(backend, place));
  }
  if (!spec.monitors.some(({ kind }) => kind === 'hmp')) words.push('-monitor', 'none');
  return words;
}

function tpmWords({ tpm }: GuestSpec, { guestDir }: Pick<Placement, 'guestDir'>): string[] {
  if (tpm === undefined) return [];
  const { id, chardev } = tpm;
  const socket: [string, Scalar][] = [
    ['id', chardev],
    ['path', path.join(guestDir, TPM_SOCKET)],
  ];
  const backend: [string, Scalar][] = [
    ['id', id],
    ['chardev', chardev],
  ];
  return ['-chardev', formatOption('socket', socket), '-tpmdev', formatOption('emulator', backend)];
}

type Dirs = Pick<Placement, 'guestDir' | 'logDir'>;

function chardevText(id: string, backend: ChardevBackend, { guestDir, logDir }: Dirs): string {
  switch (backend.kind) {
    case 'socket': {
      const props: [string, Scalar][] = [
        ['id', id],
        ['path', path.join(guestDir, backend.name)],
        ['server', true],
        ['wait', false],
      ];
      if (backend.mux) props.push(['mux', true]);
      if (backend.log !== undefined) {
        props.push(['logfile', path.join(logDir, backend.log)], ['logappend', true]);
      }
      return formatOption('socket', props);
    }
    case 'file':
      return formatOption('file', [
        ['id', id],
        ['path', path.join(logDir, backend.name)],
        ['append', true],
      ]);
    case 'ringbuf':
      return formatOption('ringbuf', [
        ['id', id],
        ...(backend.props.size === undefined ? [] : [['size', backend.props.size] as const]),
      ]);
    case 'pty':
      return formatOption('pty', [['id', id]]);
    case 'null':
    case 'none':
    case 'chardev':
      return formatOption('null', [['id', id]]);
  }
}

function portText(backend: ChardevBackend, { guestDir, logDir }: Dirs): string {
  switch (backend.kind) {
    case 'socket':
      return `unix:${escapeComma(path.join(guestDir, backend.name))},server=on,wait=off`;
    case 'file':
      return `file:${path.join(logDir, backend.name)}`;
    case 'chardev':
      return `chardev:${backend.id}`;
    case 'ringbuf':
      return 'null';
    case 'null':
    case 'none':
    case 'pty':
      return backend.kind;
  }
}

function netdevText(netdev: NetdevSpec, place: Placement): string {
  switch (netdev.type) {
    case 'tap': {
      const props: [string, Scalar][] = [
        ['id', netdev.id],
        ['ifname', place.ports.get(netdev.id) ?? ''],
        ['script', 'no'],
        ['downscript', 'no'],
      ];
      if (netdev.vhost && place.vhost) props.push(['vhost', true]);
      if (netdev.queues > 1) props.push(['queues', netdev.queues]);
      return formatOption('tap', props);
    }
    case 'user':
      return userNetdevText(netdev);
    case 'hubport':
      return formatOption('hubport', [
        ['id', netdev.id],
        ['hubid', netdev.hubid],
      ]);
  }
}

/**
 * Uses one form for all devices: QEMU creates devices in key=value form first, possibly before their bus. QEMU
 * parses text by the property's type, so values that came in JSON can be written so.
 */
export function deviceText(
  device: DeviceSpec,
  romfile: string | undefined,
  sysfsdev?: string,
): string {
  const props = Object.entries(romfile === undefined ? device.props : { ...device.props, romfile });
  const id: [string, Scalar][] = device.id === undefined ? [] : [['id', device.id]];
  const host: [string, Scalar][] = sysfsdev === undefined ? [] : [['sysfsdev', sysfsdev]];
  return formatOption(device.driver, [...id, ...host, ...props]);
}

function objectText(type: string, id: string, props: Readonly<Record<string, Scalar>>): string {
  const { 'host-nodes': nodes, ...rest } = props;
  if (nodes !== undefined) {
    return JSON.stringify({ 'qom-type': type, id, ...rest, 'host-nodes': nodesOf(nodes) });
  }
  if (Object.values(props).every((value) => typeof value === 'string')) {
    return formatOption(type, [['id', id], ...Object.entries(props)]);
  }
  return JSON.stringify({ 'qom-type': type, id, ...props });
}
