import path from 'node:path';
import { defined } from '../../../protocol/defined.ts';
import { describeBackends } from './backends.ts';
import { hasOption, parseCommandLine, valuesOf, type CommandLine } from './cmdline.ts';
import { describeDevices } from './devices.ts';
import { describeDisks, type Disks } from './disks/disks.ts';
import type { GuestFacts } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { nameOf } from './guest-name.ts';
import { judgeDescription } from './grammar/judge.ts';
import { readOption, type Read } from './grammar/options.ts';
import { describeMachine, machineProperties, type MachinePart } from './machine.ts';
import { describeNetwork } from './network.ts';
import { describeObjects, hugeMainMemory } from './objects.ts';
import { formatOption, parseJsonOption, parseOption, type Scalar } from './options.ts';
import { CARRIED_OPTIONS, type GuestSpec } from './schema.ts';
import { describeTpm } from './tpm.ts';

export interface Draft {
  readonly spec: GuestSpec;
  readonly imageFiles: ReadonlyMap<keyof GuestSpec['images'], string>;
  readonly romfiles: ReadonlyMap<number, string>;
  /** Firmware chips: unit -> path at the source. */
  readonly codeFiles: ReadonlyMap<number, string>;
  readonly disks: Pick<Disks, 'disks' | 'files' | 'uncopyable'>;
  readonly findings: readonly Finding[];
}

/** Options that matter only to this process, or are part of the state by now. */
const OF_THIS_PROCESS = new Set(
  (
    'daemonize pidfile D d dfilter trace msg sandbox runas run-with chroot L incoming S enable-kvm gdb s mem-prealloc mem-path ' +
    'echr only-migratable full-screen no-quit compat async-teardown perfmap jitdump seed nographic display singlestep ' +
    'name uuid machine accel cpu m smp object chardev mon qmp monitor serial parallel debugcon virtioconsole ' +
    'netdev device kernel initrd append dtb bios fw_cfg loadvm enable-sync-profile tpmdev ' +
    // Proxmox's build: the number that identifies the guest.
    'id'
  ).split(' '),
);
/** Displays for people, which the guest does not notice. */
const DISPLAYS = new Set(['vnc', 'spice', 'sdl', 'curses']);
/** Options whose JSON form is parsed here, besides the carried ones. */
const IN_JSON = new Set(['device', 'object', 'netdev', 'blockdev']);
const DISK_OPTIONS = /^(drive|blockdev|hd[abcd]|fd[ab]|cdrom|sd|mtdblock|pflash|snapshot|iscsi)$/;

export function describeGuest(facts: GuestFacts): Draft {
  const line = parseCommandLine(facts.argv);
  const machine = describeMachine(line, facts);
  const backends = describeBackends(line, pluggedChardevs(facts));
  const network = describeNetwork(line, facts);
  const objects = describeObjects(line, facts);
  const disks = describeDisks(line, facts);
  const tpm = describeTpm(line, facts.tpm);
  const devices = describeDevices(line, facts, disks.props, disks.empty);
  const options = describeOptions(line, facts);
  const images = imageFiles(line, facts);
  const append = valuesOf(line, 'append').at(-1) ?? machineProperties(line).get('append');
  const name = nameOf(line) ?? facts.name;
  const huge = hugeMainMemory(line, facts);
  const spec: GuestSpec = {
    format: 1,
    ...withMainMemory(machine.part, huge),
    ...defined({ name, uuid: facts.uuid }),
    options: options.options,
    images: {},
    ...defined({ append }),
    fwCfg: options.fwCfg,
    objects: [...objects.objects, ...disks.groups],
    chardevs: [...backends.chardevs],
    ports: [...backends.ports, ...defaultPorts(line)],
    monitors: [...backends.monitors],
    netdevs: network.netdevs,
    devices: [...devices.devices, ...disks.builtIn],
    ...(disks.nodes.length === 0 ? {} : { blockNodes: [...disks.nodes] }),
    ...(disks.flash.length === 0
      ? {}
      : { flash: disks.flash.map(({ unit, node }) => ({ unit, node })) }),
    ...defined({ tpm: tpm.tpm }),
    ramBlocks: facts.ramBlocks.map((block) => ({ ...block })),
  };
  const findings = [
    ...describePins(facts),
    ...disks.findings,
    ...machine.findings,
    ...backends.findings,
    ...tpm.findings,
    ...network.findings,
    ...objects.findings,
    ...devices.findings,
    ...options.findings,
  ];
  return {
    spec,
    imageFiles: images,
    romfiles: devices.romfiles,
    codeFiles: new Map(
      disks.flash.flatMap(({ unit, file }) => (file === undefined ? [] : [[unit, file] as const])),
    ),
    disks,
    findings: [...findings, ...refusedThere(spec, findings)],
  };
}

function withMainMemory(part: MachinePart, id: string | undefined): MachinePart {
  if (id === undefined) return part;
  const { type, props } = part.machine;
  return { ...part, machine: { type, props: { ...props, 'memory-backend': id } } };
}

/** Character devices of plugged-in devices; the others are on the command line, including `-debugcon`'s. */
function pluggedChardevs({ devices, chardevs }: GuestFacts): GuestFacts['chardevs'] {
  const used = new Set(devices.flatMap(({ changed: props }) => props?.['chardev'] ?? []));
  return chardevs.filter(({ id }) => used.has(id) && id !== 'debugcon');
}

/** A host's processor numbers mean nothing on another host, so pins are not carried over. */
function describePins({ pins = {} }: GuestFacts): Finding[] {
  const named = { processors: pins.processors, 'memory nodes': pins.nodes };
  return Object.entries(named).flatMap(([what, list]) =>
    list === undefined
      ? []
      : [changed(what, 'pins', `are those that QEMU is kept to here (${list}), and not there`)],
  );
}

function describeOptions(
  line: CommandLine,
  facts: GuestFacts,
): {
  options: GuestSpec['options'];
  fwCfg: GuestSpec['fwCfg'];
  findings: Finding[];
} {
  const options: GuestSpec['options'] = [];
  const fwCfg: GuestSpec['fwCfg'] = [];
  const findings: Finding[] = line.loose.map((word) =>
    unmovable(word, 'disk image', 'it is a disk'),
  );
  const hasNics = areNicsDescribed(line, facts);
  for (const { name, value } of line.options) {
    const carried = CARRIED_OPTIONS.find((each) => each === name);
    const inJson = carried !== undefined || IN_JSON.has(name);
    if (inJson && value?.startsWith('{') === true && parseJsonOption(value) === undefined) {
      findings.push(unmovable(`-${name}`, 'option', 'its value begins as JSON, and is none'));
      continue;
    }
    if (name === 'fw_cfg') fwCfg.push(...fwCfgOf(value ?? '', findings));
    if (OF_THIS_PROCESS.has(name)) continue;
    if (name === 'readconfig') {
      findings.push(...otherThanDevices(value ?? '', facts));
      continue;
    }
    if (name === 'nic' && hasNics) {
      // The device and backend are described; without `-nic none` QEMU would add a default NIC.
      if (!options.some((each) => each.name === 'nic'))
        options.push({ name: 'nic', value: 'none' });
      continue;
    }
    if (DISPLAYS.has(name)) {
      findings.push(changed(`-${name}`, 'display', 'is not offered at the destination'));
      continue;
    }
    const read = carried === undefined ? undefined : readOption(carried, keysOf(value));
    if (carried !== undefined && read?.ok === true) {
      options.push({ name: carried, ...defined({ value: read.value }) });
    } else if (!DISK_OPTIONS.test(name)) {
      // A disk with a medium is found in the running guest; the others are gone.
      const why =
        read === undefined ? 'Godwit cannot rebuild it elsewhere' : obstacleOf(name, read);
      findings.push(unmovable(`-${name} ${value ?? ''}`.trim(), 'option', why));
    }
  }
  return { options, fwCfg, findings };
}

/** Each `-nic` except `none` made a NIC that QEMU reports. */
function areNicsDescribed(line: CommandLine, { devices }: GuestFacts): boolean {
  const given = valuesOf(line, 'nic').filter((value) => !/^none(,|$)/.test(value)).length;
  const found = devices.filter(
    ({ path: own, netdev }) => own.startsWith('/machine/unattached/') && netdev !== undefined,
  ).length;
  return given > 0 && found >= given;
}

/** Contents of a -readconfig file besides devices with ids, which QEMU reports. */
function otherThanDevices(file: string, { configFiles = [] }: GuestFacts): Finding[] {
  const { sections, problem } = configFiles.find((each) => each.file === file) ?? {};
  if (sections === undefined) {
    const reason = problem ?? 'its file cannot be read';
    return [unmovable(`-readconfig ${file}`, 'option', reason)];
  }
  return sections
    .filter(({ type, id }) => type !== 'device' || id === undefined)
    .map(({ type }) =>
      unmovable(`-readconfig ${file}`, 'option', `it has a section [${type}]: say it as -${type}`),
    );
}

/** Key=value form of a JSON option; other options are unchanged. */
function keysOf(value: string | undefined): string | undefined {
  if (value?.startsWith('{') !== true) return value;
  const entries = Object.entries(parseJsonOption(value) ?? {});
  return formatOption(
    undefined,
    entries.map(([key, held]) => [key, isScalar(held) ? held : JSON.stringify(held)]),
  );
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function obstacleOf(name: string, read: Read): string {
  if (read.ok) return '';
  if (name === 'net') return 'it is in the old spelling, which joins all NICs in one hub';
  return `${read.at === '' ? 'it' : `its \`${read.at}\``} is not ${read.allowed}`;
}

/** Parts that the destination would refuse, unless there is another obstacle already. */
function refusedThere(spec: GuestSpec, others: readonly Finding[]): Finding[] {
  if (others.some(({ kind }) => kind !== 'changed')) return [];
  return judgeDescription(spec).map(({ path, what, allowed }) =>
    unmovable(what, `${path[0] ?? 'setting'}`, `it is not ${allowed}`),
  );
}

function fwCfgOf(value: string, findings: Finding[]): GuestSpec['fwCfg'] {
  const { head, props } = parseOption(value, true);
  const name = props.get('name') ?? head ?? '';
  const string = props.get('string');
  if (string !== undefined) return [{ name, string }];
  findings.push(unmovable(name, 'firmware setting', 'its value is a file of this host'));
  return [];
}

/** Without -nodefaults QEMU adds a serial and a parallel port, connected to a separate display. */
function defaultPorts(line: CommandLine): GuestSpec['ports'] {
  if (hasOption(line, 'nodefaults')) return [];
  return (['serial', 'parallel'] as const)
    .filter((option) => !hasOption(line, option))
    .map((option) => ({ option, backend: { kind: 'null' } }));
}

function imageFiles(line: CommandLine, facts: GuestFacts): Map<keyof GuestSpec['images'], string> {
  const files = new Map<keyof GuestSpec['images'], string>();
  const machine = machineProperties(line);
  for (const slot of ['kernel', 'initrd', 'dtb', 'bios'] as const) {
    const other = machine.get(slot === 'bios' ? 'firmware' : slot);
    const file = valuesOf(line, slot).at(-1) ?? other;
    if (file === undefined || file === '') continue;
    // A bare firmware name comes with QEMU, so the destination has it.
    if (slot === 'bios' && !file.includes('/')) continue;
    files.set(slot, path.resolve(facts.cwd, file));
  }
  return files;
}
