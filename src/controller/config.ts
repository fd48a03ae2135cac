import { isIP } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import { godwitError, type GodwitError } from '../errors.ts';
import { address, hostName, siteName } from '../protocol/names.ts';
import { networkPrefix } from '../protocol/prefix.ts';
import { programName } from '../protocol/controller/fleet-request.ts';
import { checkSocketsBelow } from '../protocol/socket-path.ts';
import { oidcConfig } from './oidc/config.ts';
import { checkedSettings, placeOfSetting, readSettings } from '../config/settings.ts';
import { LOOK_MS, SHORTEST_LOOK_MS } from './inventory/guest-looks.ts';
import { WAKE_MS } from './power/shown.ts';
import { siteLink, siteMapProblem } from './site-map.ts';
import { tracesConfig } from './traces/config.ts';

const filePath = z.string().min(1).max(4096);

const postgres = z.strictObject({
  /** postgres://USER@HOST[:PORT]/DATABASE; HOST may be the percent-encoded directory of a Unix socket. */
  url: z
    .string()
    .max(2048)
    .refine((text) => wrongUrl(text) === undefined, {
      error: ({ input }) => wrongUrl(String(input)) ?? '',
    }),
  /** One line: the user's password. */
  passwordFile: filePath.optional(),
  /** PEM of the server's CA; required if the server is on another host. */
  caFile: filePath.optional(),
});

const webConfig = z.strictObject({
  address,
  /** PEM files of its certificate chain and its key. Default: the controller's certificate and key. */
  certFile: filePath.optional(),
  keyFile: filePath.optional(),
  /** https://HOST[:PORT] that browsers use, if it differs from their Host header. */
  url: z
    .string()
    .max(512)
    .refine((text) => URL.canParse(text) && new URL(text).origin === text, {
      error: 'not https://HOST[:PORT]',
    })
    .optional(),
  oidc: oidcConfig.optional(),
});
export type WebConfig = z.infer<typeof webConfig>;

export const controllerConfig = z.strictObject({
  /** This controller's name; must be the CN of its certificate. */
  name: hostName,
  address,
  /** Owns all persistent data of the controller on this host. */
  stateDir: filePath,
  /** Certificates: ca.crt, controller.crt, controller.key, and fleet.json. Default: stateDir/pki. */
  pkiDir: filePath.optional(),
  /** Hosts to follow in addition to the fleet's members. */
  hosts: z
    .record(hostName, z.strictObject({ address, addresses: z.array(address).max(8).default([]) }))
    .default({}),
  /** Default: SQLite, stateDir/controller.db. Several controllers share one PostgreSQL. */
  database: z
    .union(
      [z.strictObject({ sqlite: filePath }), z.strictObject({ postgres })],
      'neither { sqlite } with a file nor { postgres } with a url',
    )
    .optional(),
  /** API and dashboard for browsers and programs without a certificate; absent: none. */
  web: webConfig.optional(),
  history: z
    .strictObject({
      /** A quarter, since questions are mostly about recent events. */
      days: z.number().int().min(1).max(3650).default(90),
      most: z.number().int().min(100).max(1_000_000).default(50_000),
      /** Total size of reports. Default: 5 KiB for each of `most`, a quarter of a gigabyte. */
      maxBytes: z.number().int().min(1_000_000).max(1e12).optional(),
    })
    .prefault({}),
  /** Retention of the audit log, to within a thousand entries for each controller. */
  audit: z
    .strictObject({
      days: z.number().int().min(1).max(3650).default(365),
      most: z.number().int().min(1000).max(10_000_000).default(200_000),
    })
    .prefault({}),
  /** The site's programs that a roll may run, by name. A request never contains a path. */
  programs: z
    .record(
      programName,
      z.strictObject({
        file: filePath.refine((file) => path.isAbsolute(file), 'not an absolute path'),
        timeoutMs: z.number().int().min(1000).max(21_600_000).default(1_800_000),
      }),
    )
    .default({}),
  /** Hosts with failing hardware or an operator's note. */
  health: z
    .strictObject({
      /** `propose` reports such hosts; `drain` also drains them. */
      policy: z.enum(['off', 'propose', 'drain']).default('propose'),
      /** A host is ill after failing without a break for this time, and well after this time without a fault, ms. */
      failingMs: z.number().int().min(60_000).max(86_400_000).default(300_000),
      wellMs: z
        .number()
        .int()
        .min(60_000)
        .max(7 * 86_400_000)
        .default(3_600_000),
      /** Ill hosts that may be drained at a time: a common cause needs an operator's judgement. */
      mostDrained: z.number().int().min(1).max(1000).default(1),
    })
    .prefault({}),
  policies: z
    .strictObject({
      /** Length of one look at the load of guests, and the interval of a policy's looks, ms. */
      lookMs: z.number().int().min(SHORTEST_LOOK_MS).max(LOOK_MS).default(LOOK_MS),
    })
    .prefault({}),
  /** Hosts that sleep while no guest needs them; absent: Godwit powers no host on or off. */
  power: z
    .strictObject({
      /** Called as `FILE sleep HOST` and `FILE wake HOST`; exits with 0 if the host will do so. */
      program: z.strictObject({
        file: filePath.refine((file) => path.isAbsolute(file), 'not an absolute path'),
        timeoutMs: z.number().int().min(1000).max(3_600_000).default(300_000),
      }),
      hosts: z.array(hostName).min(1).max(10_000),
      /** ms without a guest. */
      emptyMs: z
        .number()
        .int()
        .min(60_000)
        .max(7 * 86_400_000)
        .default(1_800_000),
      spare: z.number().int().min(0).max(1000).default(1),
      /** A woken host must answer within this time; otherwise that is reported, ms. */
      wakeMs: z.number().int().min(10_000).max(3_600_000).default(WAKE_MS),
    })
    .optional(),
  /** Guests with the label godwit/recover whose host is silent. */
  recover: z
    .strictObject({
      /** `start`: they are started elsewhere once their host is proved off. */
      policy: z.enum(['off', 'start']).default('off'),
      silentMs: z.number().int().min(15_000).max(86_400_000).default(60_000),
    })
    .prefault({}),
  /** The sites of the fleet's hosts, by the names in the agents' configurations. */
  sites: z
    .record(siteName, z.strictObject({ networks: z.array(networkPrefix).max(64).default([]) }))
    .default({}),
  /** Lines between sites; a pair without one has unlimited capacity. */
  siteLinks: z.array(siteLink).max(1000).default([]),
  /** Sends a trace of each ended migration over OTLP; absent: none. */
  traces: tracesConfig.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type ControllerConfig = z.infer<typeof controllerConfig>;

function wrongUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol))
    return 'not postgres://USER@HOST/DATABASE';
  if (url.password !== '') return 'a password does not belong here: name its file as passwordFile';
  if (url.username === '' || url.hostname === '' || url.pathname.length < 2)
    return 'not postgres://USER@HOST/DATABASE';
  if (url.search !== '' || url.hash !== '') return 'options do not belong here';
  return undefined;
}

/** GODWIT_CONFIG names the file, the line and the fault. */
export function loadControllerConfig(file: string): ControllerConfig {
  return parseControllerConfig(file, readSettings(file).text);
}

export function parseControllerConfig(file: string, text: string): ControllerConfig {
  const config = checkedSettings({ file, text }, controllerConfig);
  const wrong = (setting: readonly string[], words: string, cause?: unknown): GodwitError => {
    const what = `${placeOfSetting(text, setting)}: \`${setting.join('.')}\`: ${words}`;
    return godwitError('GODWIT_CONFIG', { file, what }, { cause });
  };
  const { stateDir, database } = config;
  try {
    checkSocketsBelow(stateDir, {});
  } catch (cause) {
    throw wrong(['stateDir'], `too long: ${(cause as Error).message}`, cause);
  }
  if (database !== undefined && 'postgres' in database && isOpen(database.postgres)) {
    const words = 'caFile is missing beside it: no byte leaves this host without TLS';
    throw wrong(['database', 'postgres', 'url'], words);
  }
  const { web } = config;
  if (web !== undefined && (web.certFile === undefined) !== (web.keyFile === undefined))
    throw wrong(['web'], 'certFile and keyFile belong together');
  const problem = siteMapProblem(config);
  if (problem !== undefined) throw wrong(problem.setting, problem.words);
  return config;
}

/** The connection would cross a network in plain text. */
function isOpen({ url, caFile }: z.infer<typeof postgres>): boolean {
  const host = decodeURIComponent(new URL(url).hostname).replace(/^\[|\]$/g, '');
  const isHere = host.startsWith('/') || host === 'localhost' || host === '::1';
  return caFile === undefined && !isHere && !(isIP(host) === 4 && host.startsWith('127.'));
}

export function controllerPkiDir({
  pkiDir,
  stateDir,
}: Pick<ControllerConfig, 'pkiDir' | 'stateDir'>): string {
  return pkiDir ?? path.join(stateDir, 'pki');
}

/**
 * Applies `--database sqlite:PATH`. GODWIT_USAGE for anything else: every user can read command lines, so a server's
 * address and password must not be in one.
 */
export function withDatabase(
  config: ControllerConfig,
  given: string | undefined,
): ControllerConfig {
  if (given === undefined) return config;
  const [, file] = /^sqlite:(.+)$/s.exec(given) ?? [];
  if (file !== undefined) return { ...config, database: { sqlite: path.resolve(file) } };
  const isUrl = /^postgres/i.test(given);
  const what = isUrl
    ? '--database takes no PostgreSQL URL: every user of a host can read command lines'
    : '--database is not sqlite:PATH';
  const hint = isUrl
    ? 'Name it in the configuration, as database.postgres with url and passwordFile.'
    : 'Write it like sqlite:/var/lib/godwit/controller.db.';
  throw godwitError('GODWIT_USAGE', { what }, { hint });
}

export function databaseOf(config: ControllerConfig): NonNullable<ControllerConfig['database']> {
  return config.database ?? { sqlite: path.join(config.stateDir, 'controller.db') };
}
