import { defined } from '../../protocol/defined.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { StreamSetup } from '../../port/direct.ts';
import type { StreamChange } from '../../port/stream-change.ts';
import { compareVersions } from './programs/version.ts';

/** Maps stream settings to QEMU's migration capabilities and parameters. Pure. */

export interface StreamAbilities {
  readonly version: string;
  readonly capabilities: readonly string[];
  /** Values of multifd-compression; empty if unknown. */
  readonly multifdCompression: readonly string[];
  /** Built with RDMA; absent if not examined. */
  readonly rdma?: boolean | undefined;
  /** Limit of memory that the process may lock, bytes; absent if not examined. */
  readonly lockable?: Lockable | undefined;
}

export interface Lockable {
  readonly pid: number;
  readonly bytes: number;
  /** Memory that it may have to lock: the pages in flight for zero-copy, all memory for RDMA. */
  readonly neededBytes: number;
}

export const TLS_CREDENTIALS = 'godwit-tls';
export const TLS_AUTHORIZATION = 'godwit-authz';

/** Every capability that Godwit sets, so that no foreign value stays. */
const OWN_CAPABILITIES = [
  'events',
  'return-path',
  'pause-before-switchover',
  'late-block-activate',
  'postcopy-ram',
  'postcopy-blocktime',
  'postcopy-preempt',
  'multifd',
  'xbzrle',
  'auto-converge',
  'dirty-limit',
  'zero-copy-send',
] as const;

function usesMultifd(stream: Omit<StreamSettings, 'tls'>): boolean {
  return stream.streams > 1 || stream.compress === 'zstd';
}

export interface StreamObstacle {
  readonly what: string;
  readonly reason: string;
  readonly hint?: string;
}

/** Reasons why this QEMU cannot send or receive such a stream; empty if it can. */
export function streamObstacles(
  stream: Omit<StreamSettings, 'tls'>,
  has: StreamAbilities,
  isSource = true,
): StreamObstacle[] {
  const obstacles: StreamObstacle[] = transportObstacles(stream, has, isSource);
  const need = (capability: string, what: string): void => {
    if (has.capabilities.includes(capability)) return;
    obstacles.push({ what, reason: `QEMU ${has.version} lacks ${capability}` });
  };
  need('events', 'watching the migration');
  need('return-path', 'an acknowledged switchover');
  need('pause-before-switchover', 'a held switchover');
  if (stream.mode !== 'precopy') need('postcopy-ram', `--mode ${stream.mode}`);
  if (usesMultifd(stream)) need('multifd', `--streams ${stream.streams}`);
  if (stream.compress === 'xbzrle') need('xbzrle', '--compress xbzrle');
  if (stream.compress === 'zstd' && !has.multifdCompression.includes('zstd')) {
    obstacles.push({
      what: '--compress zstd',
      reason: `QEMU ${has.version} was built without zstd`,
    });
  }
  if (stream.compress === 'xbzrle' && stream.streams > 1) {
    obstacles.push({
      what: '--compress xbzrle with several streams',
      reason: 'QEMU has xbzrle on its single stream only',
    });
  }
  // Older versions refuse this combination or crash at the end.
  if (
    stream.mode !== 'precopy' &&
    usesMultifd(stream) &&
    compareVersions(has.version, '10.1') < 0
  ) {
    obstacles.push({
      what: `--mode ${stream.mode} with ${stream.compress === 'zstd' ? '--compress zstd' : 'several streams'}`,
      reason: `it needs QEMU 10.1 and this is ${has.version}`,
    });
  }
  return obstacles;
}

function transportObstacles(
  { transport, streams, compress, mode }: Omit<StreamSettings, 'tls'>,
  has: StreamAbilities,
  isSource: boolean,
): StreamObstacle[] {
  if (transport === undefined) return [];
  const what = `--transport ${transport}`;
  const lacks = (reason: string, hint: string): StreamObstacle => ({ what, reason, hint });
  const found: StreamObstacle[] = [];
  if (mode !== 'precopy')
    found.push(
      lacks(
        `it is for pre-copy, and not for ${mode}`,
        'It goes by pre-copy: leave --mode out, or take a strategy of --steering without post-copy.',
      ),
    );
  if (compress !== 'none')
    found.push(lacks('it sends pages as they are, uncompressed', 'Leave --compress out.'));
  if (transport === 'zero-copy' && streams < 2)
    found.push(
      lacks('QEMU sends without a copy on several streams alone', 'Say --streams 2 or more.'),
    );
  if (transport === 'rdma' && streams > 1)
    found.push(lacks('QEMU has one stream over RDMA', 'Leave --streams out.'));
  // The receiving side needs no support.
  if (transport === 'zero-copy' && isSource && !has.capabilities.includes('zero-copy-send'))
    found.push(
      lacks(
        `QEMU ${has.version} lacks zero-copy-send`,
        'It takes QEMU 7.1 or later on Linux: leave the option out for this guest.',
      ),
    );
  if (transport === 'rdma' && has.rdma === false)
    found.push(
      lacks(
        `QEMU ${has.version} was built without RDMA`,
        'Install a QEMU that was built with it (librdmacm), or leave the option out.',
      ),
    );
  const { lockable } = has;
  if (lockable !== undefined && lockable.bytes < lockable.neededBytes)
    found.push(
      lacks(
        `QEMU may lock ${formatBytes(lockable.bytes)} of memory, and it takes up to ${formatBytes(lockable.neededBytes)}`,
        `Run \`prlimit --pid ${lockable.pid} --memlock=${lockable.neededBytes}\` on its host; \`LimitMEMLOCK\` of the agent’s unit is for guests to come.`,
      ),
    );
  return found;
}

/** List for migrate-set-capabilities. Both ends get the same list, except for source-only capabilities. */
export function capabilityList(
  stream: Omit<StreamSettings, 'tls'> &
    Pick<StreamSetup, 'holdSwitchover' | 'disks' | 'mayThrottle'>,
  has: readonly string[],
  isSource = true,
): { capability: string; state: boolean }[] {
  const wanted: Record<(typeof OWN_CAPABILITIES)[number], boolean> = {
    events: true,
    'return-path': true,
    'pause-before-switchover': stream.holdSwitchover === true,
    // Without it, a destination takes the images and their locks as soon as all state has arrived.
    'late-block-activate': stream.disks === true,
    'postcopy-ram': stream.mode !== 'precopy',
    // The destination counts the guest's waits for pages.
    'postcopy-blocktime': stream.mode !== 'precopy',
    // Never on: a recovery that breaks at the wrong moment loses the guest (decision 0022).
    'postcopy-preempt': false,
    multifd: usesMultifd(stream),
    xbzrle: stream.compress === 'xbzrle',
    'auto-converge': stream.mayThrottle === true,
    // Never on: QEMU cannot combine it with auto-converge (decision 0024).
    'dirty-limit': false,
    'zero-copy-send': stream.transport === 'zero-copy' && isSource,
  };
  return OWN_CAPABILITIES.filter((capability) => has.includes(capability)).map((capability) => ({
    capability,
    state: wanted[capability],
  }));
}

export function capabilitiesOff(has: readonly string[]): { capability: string; state: boolean }[] {
  return OWN_CAPABILITIES.filter((capability) => has.includes(capability)).map((capability) => ({
    capability,
    state: false,
  }));
}

export type Parameters = Record<string, string | number>;

/** Bandwidth that means "unlimited", bytes/s. */
const UNLIMITED = 1024 ** 4;

/** QEMU's default. Only the source's value counts. */
const QUICKEST_LEVEL = 1;

export function sourceParameters(setup: StreamSetup, tlsHostname: string | undefined): Parameters {
  return {
    'max-bandwidth': setup.maxBandwidth ?? UNLIMITED,
    'max-postcopy-bandwidth': setup.maxBandwidth ?? 0,
    'downtime-limit': downtimeLimit(setup.maxDowntimeMs),
    ...streamParameters(setup),
    ...(setup.compress === 'zstd'
      ? { 'multifd-zstd-level': setup.compressLevel ?? QUICKEST_LEVEL }
      : {}),
    ...(setup.mayThrottle === true
      ? { ...throttleParameters(0), 'throttle-trigger-threshold': 100 }
      : {}),
    'tls-creds': setup.tls ? TLS_CREDENTIALS : '',
    'tls-hostname': setup.tls ? (tlsHostname ?? setup.credentials?.peer ?? '') : '',
  };
}

/** Smallest value that QEMU accepts: no slowdown. */
const NO_THROTTLE = 1;

/**
 * Parameters for a fixed slowdown by QEMU's auto-converge, which decides at the end of a round of at least a
 * second. Equal initial, increment and maximum values set the share. It acts only above a threshold of dirtied
 * memory (percent of the bytes sent), so the lowest one is used; with it a quiet guest also gets its speed back.
 */
function throttleParameters(percent: number): Parameters {
  const share = Math.max(NO_THROTTLE, Math.min(99, Math.round(percent)));
  return {
    'cpu-throttle-initial': share,
    'cpu-throttle-increment': 99,
    'max-cpu-throttle': share,
    'throttle-trigger-threshold': 1,
  };
}

/** QEMU takes whole milliseconds. With a limit of 0 it finishes only if the guest writes nothing. */
function downtimeLimit(ms: number): number {
  return Math.max(1, Math.round(ms));
}

export function changedParameters({
  maxBandwidth,
  precopyBandwidth: before,
  postcopyBandwidth: after,
  maxDowntimeMs,
  throttlePercent,
}: StreamChange): Parameters {
  return {
    ...(maxBandwidth === undefined
      ? {}
      : { 'max-bandwidth': maxBandwidth || UNLIMITED, 'max-postcopy-bandwidth': maxBandwidth }),
    ...(before === undefined ? {} : { 'max-bandwidth': before || UNLIMITED }),
    ...defined({ 'max-postcopy-bandwidth': after }),
    ...(maxDowntimeMs === undefined ? {} : { 'downtime-limit': downtimeLimit(maxDowntimeMs) }),
    ...(throttlePercent === undefined ? {} : throttleParameters(throttlePercent)),
  };
}

/** Reported slowdown; undefined if the guest is not slowed. */
export function throttleOf(percent: number | undefined): number | undefined {
  return percent === undefined || percent <= NO_THROTTLE ? undefined : percent;
}

/** Settings that can be changed during a stream with these capabilities. */
export function leversOf(
  capabilities: readonly { readonly capability: string; readonly state: boolean }[],
): SteeringMeasure[] {
  const isOn = (name: string): boolean =>
    capabilities.some(({ capability, state }) => capability === name && state);
  return [
    'downtime',
    ...(isOn('auto-converge') ? (['throttle'] as const) : []),
    ...(isOn('postcopy-ram') ? (['postcopy'] as const) : []),
  ];
}

export function destinationParameters(setup: StreamSetup): Parameters {
  return {
    ...streamParameters(setup),
    'tls-creds': setup.tls ? TLS_CREDENTIALS : '',
    'tls-authz': setup.tls ? TLS_AUTHORIZATION : '',
  };
}

function streamParameters(setup: StreamSetup): Parameters {
  if (!usesMultifd(setup)) return {};
  return {
    'multifd-channels': setup.streams,
    'multifd-compression': setup.compress === 'zstd' ? 'zstd' : 'none',
  };
}

export const DEFAULT_PARAMETERS: Parameters = {
  'max-bandwidth': 128 * 1024 * 1024,
  'max-postcopy-bandwidth': 0,
  'downtime-limit': 300,
  'multifd-channels': 2,
  'multifd-compression': 'none',
  'multifd-zstd-level': QUICKEST_LEVEL,
  'cpu-throttle-initial': 20,
  'cpu-throttle-increment': 10,
  'max-cpu-throttle': 99,
  'throttle-trigger-threshold': 50,
  'tls-creds': '',
  'tls-hostname': '',
  'tls-authz': '',
};

/** Original values of the parameters that Godwit sets, to be restored. */
export function ownParameters(all: Readonly<Record<string, unknown>>): Parameters {
  const own: Parameters = {};
  for (const name of Object.keys(DEFAULT_PARAMETERS)) {
    const value = all[name];
    if (typeof value === 'string' || typeof value === 'number') own[name] = value;
  }
  // Settings that an earlier mover left are not the guest's original settings.
  for (const name of ['tls-creds', 'tls-hostname', 'tls-authz']) own[name] = '';
  return own;
}
