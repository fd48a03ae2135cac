import { parseArgs } from 'node:util';
import { godwitError, hasCode } from '../src/errors.ts';
import { didYouMean } from '../src/protocol/nearest.ts';
import { parseBytes, parseRate } from '../src/protocol/quantity.ts';

/** What a demo is asked to be. Sizes are bytes, rates bytes/s. */
export interface DemoOptions {
  readonly memoryBytes: number;
  readonly workingSetBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** A version (`7.2`) or a path; absent: the newest QEMU found. */
  readonly qemu: string | undefined;
  /** A whole fleet with a controller and its dashboard, instead of one guest. */
  readonly fleet: boolean;
  /** A container of runc, there and back, instead of a virtual machine. */
  readonly container: boolean;
  readonly json: boolean;
  readonly keep: boolean;
  readonly help: boolean;
}

const SWITCHES = ['fleet', 'container', 'json', 'keep', 'help'] as const;
const VALUES = ['memory', 'working-set', 'dirty', 'qemu'] as const;
const PRESETS = { memory: '512M', 'working-set': '128M', dirty: '20MiB/s' } as const;
/** Six guests at once, on a machine of any size. */
const FLEET_PRESETS = { memory: '192M', 'working-set': '24M', dirty: '2MiB/s' } as const;
/** Of a container the working set is all that it has. */
const CONTAINER_PRESETS = { memory: '64M', 'working-set': '64M', dirty: '1MiB/s' } as const;

export const HELP = `Moves a real guest between two hosts of a lab on this machine, in each mode, while a client talks to it.

Usage: npm run demo -- [options]

  --fleet             three hosts, six guests, a controller with its dashboard, and the drain of a host
  --container         a container of runc by CRIU, there and back, instead of a virtual machine (as root)
  --memory SIZE       the guest's memory (default: ${PRESETS.memory}; of a fleet, each guest's: ${FLEET_PRESETS.memory})
  --working-set SIZE  how much of it is checksummed; half of that is rewritten (default: ${PRESETS['working-set']}; of a fleet ${FLEET_PRESETS['working-set']}, of a container ${CONTAINER_PRESETS['working-set']})
  --dirty RATE        how fast it is rewritten (default: ${PRESETS.dirty}; of a fleet ${FLEET_PRESETS.dirty}, of a container ${CONTAINER_PRESETS.dirty})
  --qemu VERSION      version (7.2) or path of the QEMU to use (default: the newest found)
  --json              end with one JSON object on standard output; everything else goes to standard error
  --keep              leave the lab up and say what to try next
  -h, --help          print this help

The lab is called demo, or demo-2 and so on beside others that run or were kept.
`;

/**
 * Reads the demo's command line (without node and the script).
 * Throws GODWIT_USAGE with the nearest option, or with what a value should look like.
 */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const { values, switches } = parse(argv);
  const presets = presetsOf(switches);
  if (switches.has('container')) refuseOfMachine(values, switches);
  const text = (name: keyof typeof PRESETS): string => values[name] ?? presets[name];
  const given = (name: (typeof SWITCHES)[number]): boolean => switches.has(name);
  return {
    memoryBytes: option('memory', () => parseBytes(text('memory'))),
    workingSetBytes: option('working-set', () => parseBytes(text('working-set'))),
    dirtyBytesPerSecond: option('dirty', () => parseRate(text('dirty'))),
    qemu: values['qemu'],
    fleet: given('fleet'),
    container: given('container'),
    json: given('json'),
    keep: given('keep'),
    help: given('help'),
  };
}

function presetsOf(switches: ReadonlySet<string>): Record<keyof typeof PRESETS, string> {
  if (switches.has('container')) return CONTAINER_PRESETS;
  return switches.has('fleet') ? FLEET_PRESETS : PRESETS;
}

/** A container has no QEMU, and no memory beside what it uses. */
function refuseOfMachine(values: ParsedOptions['values'], switches: ReadonlySet<string>): void {
  const other = ['memory', 'qemu'].find((name) => values[name] !== undefined);
  const name = switches.has('fleet') ? 'fleet' : other;
  if (name === undefined) return;
  const what = `--${name} is of virtual machines, and does not go with --container`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'Leave one of the two out.' });
}

interface ParsedOptions {
  readonly values: Readonly<Partial<Record<string, string>>>;
  readonly switches: ReadonlySet<string>;
}

function parse(argv: readonly string[]): ParsedOptions {
  const options = Object.fromEntries([
    ...SWITCHES.map((name) => [name, { type: 'boolean' as const }]),
    ...VALUES.map((name) => [name, { type: 'string' as const }]),
    ['help', { type: 'boolean' as const, short: 'h' }],
  ]) as Record<string, { type: 'boolean' | 'string'; short?: string }>;
  try {
    const parsed = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    const entries = Object.entries(parsed.values);
    return {
      values: Object.fromEntries(
        entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
      ),
      switches: new Set(entries.flatMap(([name, value]) => (value === true ? [name] : []))),
    };
  } catch (cause) {
    throw refusal(argv, cause);
  }
}

function refusal(argv: readonly string[], cause: unknown): Error {
  const known = [...SWITCHES, ...VALUES].map((name) => `--${name}`);
  const words = argv.map((word) => word.split('=', 1)[0] ?? '');
  const unknown = words.find((word) => word.startsWith('--') && !known.includes(word));
  const near = unknown === undefined ? undefined : didYouMean(unknown, known);
  const said = cause instanceof Error ? cause.message.split('\n')[0] : 'not understood';
  const what = unknown === undefined ? String(said) : `the demo has no option ${unknown}`;
  const hint = `${near === undefined ? '' : `${near} `}See \`npm run demo -- --help\`.`;
  return godwitError('GODWIT_USAGE', { what: what.slice(0, 300) }, { hint, cause });
}

/** Says which option a refused value was given for. */
function option<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!hasCode(cause, 'GODWIT_USAGE')) throw cause;
    const what = `--${name}: ${cause.message}`;
    throw godwitError('GODWIT_USAGE', { what }, { hint: cause.hint, cause });
  }
}
