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
  /** postgres://USER@HOST[:PORT]/DATABASE; HOST may be the directory of a unix socket, percent-encoded. */
  url: z
    .string()
    .max(2048)
    .refine((text) => wrongUrl(text) === undefined, {
      error: ({ input }) => wrongUrl(String(input)) ?? '',
    }),
  /** One line: the password of that user. */
  passwordFile: filePath.optional(),
  /** PEM of the CA by which the server is known; needed where it is on another host. */
  caFile: filePath.optional(),
});

/** The web listener. */
const webConfig = z.strictObject({
  /** host:port on which it listens. */
  address,
  /** PEM files of its certificate chain and its key. Default: the controller's certificate and key. */
  certFile: filePath.optional(),
  keyFile: filePath.optional(),
  /** https://HOST[:PORT] by which browsers reach it, where that is another than the one that they say. */
  url: z
    .string()
    .max(512)
    .refine((text) => URL.canParse(text) && new URL(text).origin === text, {
      error: 'not https://HOST[:PORT]',
    })
    .optional(),
  /** People sign in with a provider of OpenID Connect; absent: with tokens alone. */
  oidc: oidcConfig.optional(),
});
export type WebConfig = z.infer<typeof webConfig>;

/** The controller's configuration file (JSON). */
export const controllerConfig = z.strictObject({
  /** This controller's name; must be the CN of its certificate. */
  name: hostName,
  /** host:port on which its API listens. */
  address,
  /** Owns everything that the controller keeps on this host. */
  stateDir: filePath,
  /** Certificates: ca.crt, controller.crt, controller.key, and fleet.json. Default: stateDir/pki. */
  pkiDir: filePath.optional(),
  /** Hosts to follow besides the members of the fleet's list. */
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
  /** Its API and its pages for browsers and programs without a certificate; absent: it has none. */
  web: webConfig.optional(),
  /** How long migrations and requests that ended are kept, and how many migrations. */
  history: z
    .strictObject({
      /** A quarter: what people ask about is mostly younger. */
      days: z.number().int().min(1).max(3650).default(90),
      most: z.number().int().min(100).max(1_000_000).default(50_000),
      /** Of their reports. Default: 5 KiB of each of `most`, so a quarter of a gigabyte. */
      maxBytes: z.number().int().min(1_000_000).max(1e12).optional(),
    })
    .prefault({}),
  /** How long entries of the audit log are kept, and how many, to within a thousand for each controller. */
  audit: z
    .strictObject({
      days: z.number().int().min(1).max(3650).default(365),
      /** At half a KB of each mostly. */
      most: z.number().int().min(1000).max(10_000_000).default(200_000),
    })
    .prefault({}),
  /** The site's own programs that a roll may run, by the name that a person gives; never a path from a request. */
  programs: z
    .record(
      programName,
      z.strictObject({
        file: filePath.refine((file) => path.isAbsolute(file), 'not an absolute path'),
        timeoutMs: z.number().int().min(1000).max(21_600_000).default(1_800_000),
      }),
    )
    .default({}),
  /** What becomes of hosts whose hardware fails, or of which a person noted that they need care. */
  health: z
    .strictObject({
      /** `propose`: it is said; `drain`: such a host is drained as well. */
      policy: z.enum(['off', 'propose', 'drain']).default('propose'),
      /** It is ill once it was failing for so long without a break, and well once nothing was amiss for so long, ms. */
      failingMs: z.number().int().min(60_000).max(86_400_000).default(300_000),
      wellMs: z
        .number()
        .int()
        .min(60_000)
        .max(7 * 86_400_000)
        .default(3_600_000),
      /** Ill hosts that the policy has drained at a time, at most: what makes many ill at once is for a person to judge. */
      mostDrained: z.number().int().min(1).max(1000).default(1),
    })
    .prefault({}),
  /** What standing policies rest on. */
  policies: z
    .strictObject({
      /** Length of one look at the load of guests, and interval between the looks of a policy, ms. */
      lookMs: z.number().int().min(SHORTEST_LOOK_MS).max(LOOK_MS).default(LOOK_MS),
    })
    .prefault({}),
  /** Hosts that are put to sleep while no guest needs them; absent: Godwit powers no host off or on. */
  power: z
    .strictObject({
      /** Called as `FILE sleep HOST` and `FILE wake HOST`; ends with 0 where the host is about to. */
      program: z.strictObject({
        file: filePath.refine((file) => path.isAbsolute(file), 'not an absolute path'),
        timeoutMs: z.number().int().min(1000).max(3_600_000).default(300_000),
      }),
      hosts: z.array(hostName).min(1).max(10_000),
      /** A host is put to sleep once it was without a guest for so long, ms. */
      emptyMs: z
        .number()
        .int()
        .min(60_000)
        .max(7 * 86_400_000)
        .default(1_800_000),
      /** Hosts without a guest that stay on, the largest ones. */
      spare: z.number().int().min(0).max(1000).default(1),
      /** A host that is woken is heard of within this time; after it, that it is not is said, ms. */
      wakeMs: z.number().int().min(10_000).max(3_600_000).default(WAKE_MS),
    })
    .optional(),
  /** What becomes of guests whose host is silent and that carry the label godwit/recover. */
  recover: z
    .strictObject({
      /** `start`: they are started elsewhere, once who starts them has proved the host off. */
      policy: z.enum(['off', 'start']).default('off'),
      /** For how long a host has to be silent, ms. */
      silentMs: z.number().int().min(15_000).max(86_400_000).default(60_000),
    })
    .prefault({}),
  /** The sites of the fleet's hosts, by the names that their agents' configurations have. */
  sites: z
    .record(siteName, z.strictObject({ networks: z.array(networkPrefix).max(64).default([]) }))
    .default({}),
  /** The lines between sites; a pair without one is not looked at for its capacity. */
  siteLinks: z.array(siteLink).max(1000).default([]),
  /** A trace of each migration that ends goes there, over OTLP; absent: nowhere. */
  traces: tracesConfig.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type ControllerConfig = z.infer<typeof controllerConfig>;

/** Why a URL of PostgreSQL cannot be taken; undefined where it can. */
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

/** Reads and checks the file; GODWIT_CONFIG names the file, the line and what is wrong in it. */
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

/** It would go over a network in plain. */
function isOpen({ url, caFile }: z.infer<typeof postgres>): boolean {
  const host = decodeURIComponent(new URL(url).hostname).replace(/^\[|\]$/g, '');
  const isHere = host.startsWith('/') || host === 'localhost' || host === '::1';
  return caFile === undefined && !isHere && !(isIP(host) === 4 && host.startsWith('127.'));
}

/** Where a controller's certificates lie. */
export function controllerPkiDir({
  pkiDir,
  stateDir,
}: Pick<ControllerConfig, 'pkiDir' | 'stateDir'>): string {
  return pkiDir ?? path.join(stateDir, 'pki');
}

/**
 * Replaces the database of the file with `--database sqlite:PATH`. Throws GODWIT_USAGE for anything else: every user of a
 * host can read command lines, so the address and password of a server must not be in one.
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

/** Place of the persistent data. */
export function databaseOf(config: ControllerConfig): NonNullable<ControllerConfig['database']> {
  return config.database ?? { sqlite: path.join(config.stateDir, 'controller.db') };
}
