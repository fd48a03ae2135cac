import { defined } from '../../../protocol/defined.ts';
import { hasOption, valuesOf, type CommandLine } from './cmdline.ts';
import { NON_FEATURES, NUMBERS } from './cpu.ts';
import type { GuestFacts } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import type { Kind } from './grammar/kinds.ts';
import { MACHINE_PROPERTIES } from './grammar/machine.ts';
import { parseBytes, parseOption, switchValue, type Scalar } from './options.ts';
import type { GuestSpec } from './schema.ts';

export type MachinePart = Pick<
  GuestSpec,
  'arch' | 'machine' | 'accelerator' | 'cpu' | 'memory' | 'smp'
>;

/** Machine properties that are aliases of other options or need no transfer. */
const ELSEWHERE = new Set([
  'type',
  'accel',
  'kernel',
  'initrd',
  'append',
  'dtb',
  'firmware',
  'memory',
  'pflash0',
  'pflash1',
]);

export function describeMachine(
  line: CommandLine,
  facts: GuestFacts,
): { part: MachinePart; findings: Finding[] } {
  const findings: Finding[] = [];
  const machine = machineProperties(line);
  const accelerator = acceleratorProperties(line);
  const props: Record<string, Scalar> = {};
  for (const [key, value] of [...machine, ...accelerator.forMachine]) {
    if (ELSEWHERE.has(key)) continue;
    const kind = MACHINE_PROPERTIES.get(key);
    if (kind?.fits(value) === true) props[key] = value;
    else findings.push(unmovable(`-machine ${key}`, 'machine setting', obstacleOf(kind)));
  }
  findings.push(...clockFindings(line, facts));
  const part: MachinePart = {
    arch: facts.arch,
    machine: { type: facts.machineType, props },
    accelerator: { name: facts.accelerator, props: accelerator.props },
    memory: describeMemory(line, facts),
    smp: describeSmp(line, facts),
    ...(facts.cpu.model === ''
      ? {}
      : { cpu: { ...mutable(facts.cpu), switches: cpuSwitches(line) } }),
  };
  return { part, findings };
}

const NO_FREQUENCY =
  'has no `tsc-frequency`: once the guest’s Windows has turned it on, QEMU refuses to load the guest, at the switch';
const FREQUENCY_HINT =
  'Start the guest with `tsc-frequency` too, or without this setting; else it may have to move with --mode cold.';

/** Hyper-V enlightenment that KVM keeps only with a fixed clock frequency. */
function clockFindings(line: CommandLine, { accelerator }: GuestFacts): Finding[] {
  const settings = cpuOption(line);
  const isOn = settings.get('hv-reenlightenment') === true;
  if (accelerator !== 'kvm' || !isOn || settings.has('tsc-frequency')) return [];
  const found = changed('-cpu hv-reenlightenment', 'processor setting', NO_FREQUENCY);
  return [{ ...found, hint: FREQUENCY_HINT }];
}

function obstacleOf(kind: Kind | undefined): string {
  return kind === undefined ? 'it is unknown to Godwit' : `its value is not ${kind.allowed}`;
}

function mutable(cpu: GuestFacts['cpu']): Omit<NonNullable<GuestSpec['cpu']>, 'switches'> {
  return {
    model: cpu.model,
    identity: { ...cpu.identity },
    features: [...cpu.features],
    words: cpu.words.map((word) => ({ ...word })),
  };
}

export function machineProperties(line: CommandLine): Map<string, string> {
  const merged = new Map<string, string>();
  // Equivalent machine setting: the firmware uses the serial port.
  if (hasOption(line, 'nographic')) merged.set('graphics', 'off');
  for (const value of valuesOf(line, 'machine')) {
    const { head, props } = parseOption(value, true);
    if (head !== undefined && head !== '') merged.set('type', head);
    for (const [key, held] of props) merged.set(key, held);
  }
  return merged;
}

function acceleratorProperties(line: CommandLine): {
  props: GuestSpec['accelerator']['props'];
  forMachine: [string, string][];
} {
  const props: Record<string, string> = {};
  const forMachine: [string, string][] = [];
  // QEMU uses the first available -accel; their settings do not overlap.
  for (const value of valuesOf(line, 'accel')) {
    for (const [key, held] of parseOption(value, true).props) {
      if (/^(thread|tb-size|split-wx|one-insn-per-tb)$/.test(key)) props[key] = held;
      if (key === 'kernel-irqchip') forMachine.push([key, held]);
    }
  }
  return { props, forMachine };
}

function describeMemory(line: CommandLine, facts: GuestFacts): GuestSpec['memory'] {
  const given = new Map<string, string>();
  for (const value of valuesOf(line, 'm')) {
    const { head, props } = parseOption(value, true);
    if (head !== undefined && head !== '') given.set('size', head);
    for (const [key, held] of props) given.set(key, held);
  }
  const slots = Number(given.get('slots') ?? 0);
  const maxBytes = parseBytes(given.get('maxmem') ?? '', 1024 * 1024);
  return {
    bytes: facts.baseMemoryBytes,
    ...(slots > 0 ? { slots } : {}),
    ...defined({ maxBytes }),
  };
}

const TOPOLOGY = /^(cpus|maxcpus|sockets|dies|modules|clusters|cores|threads|drawers|books)$/;

function describeSmp(line: CommandLine, facts: GuestFacts): GuestSpec['smp'] {
  const smp: Record<string, number> = {};
  for (const value of valuesOf(line, 'smp')) {
    const { head, props } = parseOption(value, true);
    if (head !== undefined && head !== '') smp['cpus'] = Number(head);
    for (const [key, held] of props) if (TOPOLOGY.test(key)) smp[key] = Number(held);
  }
  const plugged = facts.devices.filter((device) => device.type.endsWith('-cpu')).length;
  smp['cpus'] ??= Math.max(1, facts.vcpus - plugged);
  return smp;
}

/** Parts of the -cpu option: `max,pge=off,+avx`, including the old spelling with underscores. */
export function cpuOption(line: CommandLine): Map<string, Scalar> {
  const all = new Map<string, Scalar>();
  for (const value of valuesOf(line, 'cpu')) {
    for (const [key, held] of parseOption(value, true).props) {
      const sign = /^[+-]/.exec(key)?.[0];
      const name = key.replace(/^[+-]/, '').replaceAll('_', '-');
      all.set(name, sign === undefined ? typed(held) : sign === '+');
    }
  }
  return all;
}

function typed(held: string): Scalar {
  const on = switchValue(held);
  if (on !== undefined) return on;
  return /^(0x[0-9a-f]+|\d+)$/i.test(held) ? Number(held) : held;
}

function cpuSwitches(line: CommandLine): Record<string, Scalar> {
  const entries = [...cpuOption(line)].filter(
    // Omits options that only control QEMU's strictness at start.
    ([key]) =>
      (NON_FEATURES.test(key) || NUMBERS.test(key)) && !/^(check|enforce|migratable)$/.test(key),
  );
  return Object.fromEntries(entries);
}
