import { godwitError } from '../../errors.ts';
import type { Compression, MigrationSettings, Mode } from '../../protocol/public/migration.ts';
import { strategyNamed, type SteeringMeasure } from '../../protocol/public/steering.ts';
import type { Transport } from '../../protocol/public/transport.ts';
import { ownThrottle } from '../steering/own-throttle.ts';
import { passes, refuses, warns, type Finding } from './finding.ts';
import type { TaskFigures } from '../managed/task-sight.ts';

/** Capabilities that a driver declares. The core asks for these, never for a driver's name. */
export interface Capabilities {
  /** direct: Godwit owns each step and the data path; managed: a manager moves the memory. */
  readonly shape: 'direct' | 'managed';
  readonly modes: readonly Mode[];
  readonly compression: readonly Compression[];
  readonly compressLevels?: boolean;
  readonly maxStreams: number;
  /** Absent: TCP only. */
  readonly transports?: readonly Transport[];
  readonly postcopyRecovery: boolean;
  readonly noPostcopy?: string;
  /** A migration can be undone at its switchover, with the guest unchanged. */
  readonly rehearsals?: boolean;
  readonly measures?: boolean;
  readonly noMeasures?: string;
  /**
   * Each round of pre-copy reads all memory and sends the pages whose content changed; rounds end by themselves. Then
   * the guest is frozen, dumped, sent and restored. Absent: rounds from a log of written pages.
   */
  readonly rounds?: 'content';
  /** Device state becomes memory at the destination, where a guest may then need more. */
  readonly needsMoreThere?: boolean;
  readonly unplugs?: boolean;
  /** A guest can get devices of the destination, by name. */
  readonly plugs?: boolean;
  readonly datastores?: boolean;
  readonly priorities?: boolean;
  /** The manager may send memory unencrypted, and the driver can refuse that. */
  readonly encryption?: boolean;
  /** The manager can send memory through a unix socket of Godwit. */
  readonly wire?: boolean;
  /** Copies disks through its manager, and can keep the originals. */
  readonly keepsSource?: boolean;
  /** Settings of a running migration that steering can change, if the mode allows. Absent: none. */
  readonly levers?: readonly SteeringMeasure[];
  readonly keepsCap?: boolean;
  /** The manager throttles a guest by itself if the order permits it. */
  readonly throttlesItself?: boolean;
  /** Figures that its manager reports; absent: Godwit measures everything itself. */
  readonly figures?: readonly (keyof TaskFigures)[];
}

type RequestedSettings = Pick<MigrationSettings, 'mode' | 'streams' | 'compress'> &
  Partial<MigrationSettings>;

interface DriverFacts {
  readonly name: string;
  readonly capabilities: Capabilities;
}

export interface CapabilityFacts {
  /** Absent if the guest is not reachable. */
  readonly driver?: DriverFacts | undefined;
  readonly settings: RequestedSettings;
}

/** One finding per requested option that the driver lacks, or one that passes. */
export function judgeCapabilities({ driver, settings }: CapabilityFacts): Finding[] {
  if (driver === undefined) return [];
  const { mode, streams, compress } = settings;
  const {
    shape,
    modes,
    compression,
    compressLevels = false,
    maxStreams,
    transports = ['tcp'],
    datastores = false,
    priorities = false,
    encryption = false,
    rehearsals = false,
    keepsSource = false,
    unplugs = false,
    plugs = false,
    noPostcopy,
  } = driver.capabilities;
  const lacks: Lack[] = [];
  if (!modes.includes(mode)) {
    const why = mode === 'precopy' || mode === 'cold' ? undefined : noPostcopy;
    lacks.push([`--mode ${mode}`, [`it has ${modes.join(', ')}`, why ?? []].flat().join('. ')]);
  }
  if (!compression.includes(compress)) {
    lacks.push([`--compress ${compress}`, `it has ${compression.join(', ')}`]);
  }
  if (settings.compressLevel !== undefined && (compress !== 'zstd' || !compressLevels)) {
    const has = compressLevels ? 'only --compress zstd has levels' : 'it has no levels';
    lacks.push([`--compress-level ${settings.compressLevel}`, has]);
  }
  if (streams > maxStreams) lacks.push([`--streams ${streams}`, `it has ${maxStreams} at most`]);
  const { transport = 'tcp', path = 'native' } = settings;
  if (!transports.includes(transport))
    lacks.push([`--transport ${transport}`, `it has ${transports.join(', ')}`]);
  else if (transport !== 'tcp' && path !== 'native')
    lacks.push([`--transport ${transport}`, `--path ${path} decides how memory is carried`]);
  if (settings.datastore !== undefined && !datastores) {
    lacks.push(['--datastore', 'it knows no datastores']);
  }
  if (settings.priority !== undefined && !priorities) {
    lacks.push([`--priority ${settings.priority}`, 'it has no priorities']);
  }
  if (settings.encrypted === true && !encryption) {
    lacks.push(['--encrypted', 'that is for managers that may send memory unencrypted']);
  }
  if (settings.keepSource === true && shape === 'managed' && !keepsSource) {
    lacks.push(['--keep-source', 'its manager decides on disks']);
  }
  if (settings.unplug !== undefined && !unplugs) {
    lacks.push(['--unplug', 'it unplugs no devices']);
  }
  if (settings.plug !== undefined && !plugs) lacks.push(['--plug', 'it plugs no devices in']);
  if (settings.rehearse === true && !rehearsals) {
    lacks.push(['--rehearse', 'it cannot turn round at the switch']);
  }
  lacks.push(...withoutMeasures(settings, driver.capabilities));
  if (mode === 'cold' && shape === 'direct') lacks.push(...ofMemoryAlone(settings));
  if (shape === 'managed') {
    lacks.push(...leftToManager(settings, driver.capabilities));
    if (path === 'wire') lacks.push(...withWire(settings, driver.capabilities));
  }
  if (lacks.length === 0)
    return [shape === 'managed' ? steerable(driver, settings) : can(driver.name)];
  return lacks.map(([what, has, instead = 'Leave the option out.']) => {
    const reason = `the driver ${driver.name} cannot: ${has}`;
    const hint = shape === 'managed' ? { hint: instead } : {};
    return refuses(godwitError('GODWIT_CAPABILITY', { what, reason }, hint));
  });
}

const can = (driver: string, how = ''): Finding =>
  passes(`the driver ${driver} can do what is asked${how}`);

/** Measures of the strategy that are skipped, because its manager cannot carry them out. */
function steerable(
  { name, capabilities: { levers = [], throttlesItself = false } }: DriverFacts,
  { steering, mode }: RequestedSettings,
): Finding {
  if (steering === undefined) return can(name);
  const strategy = strategyNamed(steering);
  const own = throttlesItself && ownThrottle(strategy, mode) !== undefined;
  // The order can only allow it together with post-copy, which then makes it unnecessary.
  const comesLater =
    throttlesItself &&
    !own &&
    strategy.measures.includes('throttle') &&
    levers.includes('postcopy');
  const without = strategy.measures.filter(
    (measure) => !levers.includes(measure) && !(measure === 'throttle' && (own || comesLater)),
  );
  const slows = own
    ? '; its manager slows the guest down by itself'
    : comesLater
      ? '; it is not slowed down: post-copy comes first'
      : '';
  if (without.length === 0 && strategy.measures.includes('postcopy') && mode === 'precopy')
    return warns(
      `${name} moves it by strategy ${strategy.name} without post-copy: --mode precopy has none${slows}`,
      'Ask for the mode hybrid to have it.',
    );
  if (without.length === 0) return can(name, `, by strategy ${strategy.name}${slows}`);
  const words = {
    downtime: 'a longer downtime',
    throttle: 'slowing the guest down',
    postcopy: 'post-copy',
  };
  const left = without.map((measure) => words[measure]).join(' and ');
  return warns(
    `${name} moves it by strategy ${strategy.name} without ${left}: its manager lets nobody do that`,
    'The rest of the strategy decides, and the report has each decision. Another strategy may suit better.',
  );
}

/** Requested options that need the write rate of the guest, if the driver cannot measure it. */
function withoutMeasures(
  { whenQuiet }: RequestedSettings,
  { measures = false, noMeasures = 'it cannot say what a guest writes' }: Capabilities,
): Lack[] {
  return whenQuiet === undefined || measures ? [] : [['--when quiet', noMeasures]];
}

function ofMemoryAlone(settings: RequestedSettings): [string, string][] {
  const { rehearse, path, verifyDisks, balloon } = settings;
  const asked: [boolean, string, string][] = [
    [rehearse === true, '--rehearse', 'a cold move would shut the guest down'],
    [path === 'wire', '--path wire', 'a cold move sends no memory'],
    [
      isOtherTransport(settings),
      `--transport ${settings.transport}`,
      'a cold move sends no memory',
    ],
    [balloon !== undefined, `--balloon ${balloon}`, 'a cold move sends no memory'],
    [verifyDisks === true, '--verify-disks', 'a cold move does not watch what the guest writes'],
  ];
  return asked.flatMap(([isAsked, what, why]) => (isAsked ? [[what, why]] : []));
}

function isOtherTransport({ transport = 'tcp' }: RequestedSettings): boolean {
  return transport !== 'tcp';
}

/** The requested option, the driver's substitute, and a fix better than to leave the option out. */
type Lack = [string, string, string?];

function withWire(
  { mode, streams, compress }: RequestedSettings,
  { wire = false }: Pick<Capabilities, 'wire'>,
): Lack[] {
  const what = '--path wire';
  if (!wire) return [[what, 'its manager moves the guest itself, and decides on memory']];
  const asked: [boolean, string, string][] = [
    // A wire that breaks in post-copy would need a new wire and a new stream of the manager.
    [
      mode !== 'precopy',
      `over the wire its manager moves by pre-copy alone, not by ${mode}`,
      'Leave --path wire out, or take --mode precopy.',
    ],
    [
      streams > 1,
      '--streams is of its manager’s own path',
      'Leave --streams out: how many links the wire has is `wire.connections` of the configuration.',
    ],
    [
      compress !== 'none',
      '--compress is of its manager’s own path',
      'Leave --compress out: the wire compresses by itself.',
    ],
  ];
  return asked.flatMap(([isAsked, why, hint]): Lack[] => (isAsked ? [[what, why, hint]] : []));
}

/** Requested options that a manager would silently drop. */
export function leftToManager(
  settings: RequestedSettings,
  { levers }: Pick<Capabilities, 'levers'> = {},
): [string, string][] {
  const { onLost, diskWrites, verifyDisks, networks } = settings;
  const { pathAddresses, steering, returnIfUnhealthy, balloon } = settings;
  const asked: [boolean, string, string][] = [
    [steering !== undefined && levers === undefined, '--steering', 'how its memory converges'],
    [onLost === 'restart', '--on-lost restart', 'what becomes of a guest that is lost'],
    [pathAddresses !== undefined, '--path-address', 'the link'],
    [diskWrites === 'refuse', '--disk-writes refuse', 'disks'],
    [verifyDisks === true, '--verify-disks', 'disks'],
    [balloon !== undefined, `--balloon ${balloon}`, 'what of its memory is sent'],
    [networks !== undefined, '--map-network', 'networks'],
    [returnIfUnhealthy !== undefined, '--return-if-unhealthy', 'where it stays'],
  ];
  return asked
    .filter(([isAsked]) => isAsked)
    .map(([, what, which]) => [
      what,
      `its manager moves the guest itself, and decides on ${which}`,
    ]);
}
