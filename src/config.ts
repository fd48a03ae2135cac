import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { godwitError } from './errors.ts';
import { address, guestName, hostName, siteName, splitAddress } from './protocol/names.ts';
import { hoursOf } from './protocol/label-rules.ts';
import { checkSocketsBelow } from './protocol/socket-path.ts';
import { networkPrefix } from './protocol/prefix.ts';
import { guestProbing } from './protocol/peer/probe.ts';
import { sharing } from './protocol/wire.ts';
import {
  checkedSettings,
  placeOfSetting,
  readJson,
  readSettings,
  type SettingsText,
} from './config/settings.ts';
import { relayPlace, siteProblem } from './config/site-settings.ts';
import { storageSettings } from './config/storage-settings.ts';

const MIB = 1024 * 1024;
const path = z.string().min(1).max(4096);
const port = z.number().int().min(1).max(65_535);

const cacheConfig = z.strictObject({
  /** Default: stateDir/cache/pages. On a tmpfs it is a cache in memory. */
  directory: path.optional(),
  /** Bound of all that lies there but 24 bytes for each page of a guest, which may take a quarter more. */
  bytes: z
    .number()
    .int()
    .min(64 * MIB)
    .max(Number.MAX_SAFE_INTEGER)
    .default(1024 * MIB),
  /** The guests that share the kept pages of a guest that leaves. A guest that comes shares with no more than these. */
  scope: sharing.default('guest'),
  /** Guest -> tenant, where the scope is `tenant`. */
  tenants: z.record(guestName, z.string().min(1).max(128)).default({}),
  /** Hex of at least 32 random bytes, alike on all hosts; default: site.secret beside the certificates. */
  secretFile: path.optional(),
});

/** Hours by this host's clock and time zone, and the rate in bytes/s that each outgoing migration may use in them. */
const cappedHours = z.strictObject({
  hours: z
    .string()
    .max(64)
    .refine((text) => hoursOf(text) !== undefined, {
      error:
        'expected hours such as "08:00-18:00" or "mon,tue 08:00-24:00": two digits each, days (sun, mon, tue, wed, thu, fri, sat) separated by commas',
    }),
  bytesPerS: z.number().int().min(65_536, 'expected at least 65536 (64 KiB/s)'),
});

/** The agent's configuration file (JSON). Movers read the same file. */
export const agentConfig = z.strictObject({
  /** This host's name; must be the CN of its certificate. */
  name: hostName,
  /** host:port on which the API listens for other hosts; the host part is also where memory arrives. */
  address,
  /**
   * Further host:port of this host, over other links: the API listens there too, and so do movers and, where post-copy is
   * resumed over such a link, the memory stream.
   */
  addresses: z.array(address).max(8).default([]),
  /** Where this host stands; a controller moves no guest to another site by its own choice. */
  site: siteName.optional(),
  /** Owns everything that Godwit keeps on this host. */
  stateDir: path.refine(isAbsolute, 'expected an absolute path'),
  /** Certificates: ca.crt, host.crt, host.key. Default: stateDir/pki. */
  pkiDir: path.optional(),
  /** Set only on the host that holds the CA, for `godwit invite`. */
  caDir: path.optional(),
  /** The other hosts; `addresses` are tried in order where `address` does not answer. */
  peers: z
    .record(hostName, z.strictObject({ address, addresses: z.array(address).max(8).default([]) }))
    .default({}),
  /** The relays by which hosts of other sites are reached: those whose address here or in the fleet's list is like `b.relay:7443`. */
  relays: z.array(relayPlace).max(4).default([]),
  /** Of each driver, by its name: the driver parses its own section. */
  drivers: z.record(z.string().max(32), z.unknown()).default({}),
  /** Options of a driver where earlier builds had them. They are still read; the agent's log says where they belong. */
  qemu: z.unknown().optional(),
  qemuUser: z.unknown().optional(),
  imageDirs: z.unknown().optional(),
  /** Source bridge -> bridge here, where the names differ. */
  bridges: z.record(z.string().max(15), z.string().max(15)).default({}),
  /**
   * Where guests' disks may lie; nothing else is opened as a disk by this host, or written to as a proof. `path`: a
   * directory, also of an export that is mounted. `nfs`: a directory of an export that hypervisors open by themselves;
   * `iscsi`, `rbd`: a target whose LUNs, and a pool of Ceph's RBD whose images they open by themselves.
   */
  storage: storageSettings,
  /** Of guests' networks. */
  network: z
    .strictObject({
      /**
       * Whether what this host tracks of a guest's connections (conntrack) goes along when the guest leaves. `none`: it
       * takes none either, when a guest comes.
       */
      connections: z.enum(['hand-over', 'leave', 'none']).default('hand-over'),
      /** Whether a guest's segment is asked for its addresses, from this host, before the guest comes. */
      segmentCheck: z.boolean().default(true),
      /** Networks in which guests that are routed to may have their addresses and gateways; default: none may come. */
      routedPrefixes: z.array(networkPrefix).max(256).default([]),
      /** Bridge -> VLANs of it that guests of other hosts may have; a bridge that is not named gives them any. */
      guestVlans: z
        .record(z.string().max(15), z.array(z.number().int().min(1).max(4094)).max(4094))
        .default({}),
      /** How other hosts probe guests while this one moves them; off: not, and not for others from here. */
      probe: z.union([z.literal('off'), guestProbing]).prefault({}),
    })
    .prefault({}),
  /** What guests write to their serial ports and consoles, where a file of this host takes it. */
  guestLogs: z
    .strictObject({
      /** Default: each guest's own directory in stateDir. */
      directory: path.optional(),
      /** Bound of each of a guest's logs. */
      bytes: z
        .number()
        .int()
        .min(64 * 1024)
        .max(1024 * MIB)
        .default(16 * MIB),
    })
    .prefault({}),
  /** Ports for movers and memory streams. */
  ports: z.strictObject({ from: port, to: port }).default({ from: 49_152, to: 49_407 }),
  /** Guests whose QMP socket cannot be found through a process. */
  guests: z
    .array(z.strictObject({ name: guestName, qmp: path }))
    .max(10_000)
    .default([]),
  limits: z
    .strictObject({
      migrationsIn: z.number().int().min(1).max(256).default(8),
      /** Of those, from one host; default: three quarters where there are several peers, else all. */
      migrationsInFromOne: z.number().int().min(1).max(256).optional(),
      migrationsOut: z.number().int().min(1).max(256).default(8),
      /** Memory to leave free when a guest is admitted, bytes. */
      memoryReserveBytes: z
        .number()
        .int()
        .nonnegative()
        .default(256 * 1024 * 1024),
      /** Room to leave free in each file system of `storage` when a copy is admitted, bytes; default: 5 % of it, 1 GiB at most. */
      storageReserveBytes: z.number().int().nonnegative().optional(),
      /** Caps by the time of day; the least of those that hold counts. */
      bandwidth: z.array(cappedHours).max(64).default([]),
      /**
       * How long the source of a guest that is coming may be silent before this host acts without it, ms: it asks for the
       * proof that the source is off, or gives the guest up.
       */
      sourceSilenceMs: z.number().int().min(10_000).max(3_600_000).default(180_000),
    })
    .prefault({}),
  /** Where this host is not all of its machine (its agent runs in a container): the processors that it has. */
  processor: z
    .strictObject({
      /** A directory of cgroup v2: its usage and its waiting times count as the host's. */
      cgroup: path.refine(isAbsolute, 'expected an absolute path'),
      /** Default: those of the cgroup's cpu.max; where that has no bound, all of the machine's. */
      cores: z.number().int().min(1).max(4096).optional(),
    })
    .optional(),
  /** What this host keeps of guests' memory, so that the wire need not send it again. */
  cache: cacheConfig.prefault({}),
  /** The wire: the share of this host that it may use, and the known properties of its links. */
  wire: z
    .strictObject({
      /** Processors that compress; default: all but one. */
      cores: z.number().int().min(1).max(256).optional(),
      /** What all migrations from here may send together, bytes/s. */
      bytesPerS: z.number().int().min(65_536).optional(),
      /** TLS connections of one migration. */
      connections: z.number().int().min(1).max(32).default(4),
      /** What the link to a host carries, bytes/s: `--path auto` goes by it. */
      rates: z.record(hostName, z.number().int().positive()).default({}),
    })
    .prefault({}),
  /**
   * Hosts with which guests' memory may go unencrypted, because the link to them is the site's own: zero-copy and RDMA do
   * not encrypt. Both hosts have to name each other.
   */
  unencryptedMemory: z.array(hostName).max(256).default([]),
  /** Shows that another host is off, where Godwit cannot know: exit 0 is the proof. */
  fencing: z
    .strictObject({
      /** An executable and its first arguments; the other host's name is added as the last. */
      command: z.array(path).min(1).max(64),
      timeoutMs: z.number().int().min(1000).max(60_000).default(30_000),
      /** How long the other host’s kernel must have been silent over every path before it is called. */
      silenceMs: z.number().int().min(5000).max(20_000).default(10_000),
      /** host:port of others that answer, over the networks of the hosts: a router, a switch; besides the fleet's hosts. */
      controls: z.array(address).max(16).default([]),
    })
    .optional(),
  /** The site's own programs, called as docs/hooks.md says: executables with the names of hooks. */
  hooks: z
    .strictObject({
      directory: path,
      /** A guest stays where it is if its hook `notice` refuses; without this setting the refusal is only reported. */
      noticeMayRefuse: z.boolean().optional(),
    })
    .optional(),
  /** Its unix socket is its controller's alone, whose orders name requests: the agent of a manager. */
  ordersBySocket: z.boolean().default(false),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type AgentConfig = z.infer<typeof agentConfig>;
/** The same as it is written in a file: without the defaults. */
export type AgentConfigInput = z.input<typeof agentConfig>;

/** The addresses of this host by which others reach it, the main one first, without ports. */
export function hostsOf(config: Pick<AgentConfig, 'address' | 'addresses'>): string[] {
  const hosts = [config.address, ...config.addresses].map((each) => splitAddress(each).host);
  return [...new Set(hosts)];
}

/** Reads and checks the file; GODWIT_CONFIG names the file and what is wrong in it. */
export function loadAgentConfig(file: string): AgentConfig {
  const settings = readSettings(file);
  const config = parseAgentConfig(file, settings.text);
  files.set(config, settings);
  return config;
}

const files = new WeakMap<object, SettingsText>();

/** The file of a configuration, to be read again for the settings that may change; undefined if there is none. */
export function configFileOf(config: Pick<AgentConfig, 'name'>): string | undefined {
  return files.get(config)?.file;
}

/** What was written in that file; undefined for a configuration of no file. */
export function configTextOf(config: Pick<AgentConfig, 'name'>): SettingsText | undefined {
  return files.get(config);
}

const oldNetwork = z.looseObject({
  network: z.looseObject({ probe: z.unknown().optional(), vantage: z.unknown().optional() }),
});

/**
 * A file of an earlier version: `network.probe` was true or false and is `segmentCheck` now, `network.vantage` is `probe`.
 * A name that stands there under both its names is left, and refused as unknown.
 */
function withNewNames(json: unknown): unknown {
  const old = oldNetwork.safeParse(json);
  if (!old.success) return json;
  const { probe, vantage, ...network } = old.data.network;
  const isOldProbe = typeof probe === 'boolean' && network['segmentCheck'] === undefined;
  const isOldVantage = vantage !== undefined && (probe === undefined || isOldProbe);
  const renamed = {
    ...network,
    ...(isOldProbe ? { segmentCheck: probe } : probe === undefined ? {} : { probe }),
    ...(isOldVantage
      ? { probe: vantage === false ? 'off' : vantage }
      : vantage === undefined
        ? {}
        : { vantage }),
  };
  return { ...old.data, network: renamed };
}

export function parseAgentConfig(file: string, text: string): AgentConfig {
  const settings = { file, text };
  const config = checkedSettings(settings, agentConfig, withNewNames(readJson(settings)));
  try {
    checkSocketsBelow(config.stateDir, {});
  } catch (cause) {
    const what = `stateDir is too long: ${(cause as Error).message}`;
    throw godwitError('GODWIT_CONFIG', { file, what }, { cause });
  }
  if (config.ports.from > config.ports.to) {
    throw godwitError('GODWIT_CONFIG', { file, what: 'ports.from is above ports.to' });
  }
  const problem = siteProblem(config);
  if (problem !== undefined) {
    const { setting, words } = problem;
    const what = `${placeOfSetting(text, setting)}: \`${setting.join('.')}\`: ${words}`;
    throw godwitError('GODWIT_CONFIG', { file, what });
  }
  return config;
}
