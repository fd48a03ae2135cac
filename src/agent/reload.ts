import { isDeepStrictEqual } from 'node:util';
import { configFileOf, loadAgentConfig, type AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import { pkiDirOf } from '../host/fleet.ts';
import { isRecord } from '../formats/json.ts';
import type { Log, LogLevel } from '../log.ts';
import { Mutex } from '../mutex.ts';
import { MAX_SETTINGS, type ReloadAnswer } from '../protocol/public/reload.ts';
import { configProblems, thatLetItStart, type ConfigProblem } from './config-check.ts';

/**
 * Settings that a running agent applies. The others belong to what it has opened (its address, certificate and drivers)
 * and need a restart.
 */
const WHEN: Readonly<Record<keyof AgentConfig, 'reload' | 'restart'>> = {
  name: 'restart',
  address: 'restart',
  addresses: 'restart',
  site: 'reload',
  stateDir: 'restart',
  pkiDir: 'restart',
  caDir: 'restart',
  peers: 'reload',
  relays: 'restart',
  drivers: 'restart',
  qemu: 'restart',
  qemuUser: 'restart',
  imageDirs: 'restart',
  bridges: 'reload',
  storage: 'reload',
  network: 'reload',
  guestLogs: 'reload',
  ports: 'reload',
  guests: 'reload',
  limits: 'reload',
  processor: 'restart',
  cache: 'reload',
  wire: 'reload',
  unencryptedMemory: 'reload',
  fencing: 'restart',
  hooks: 'reload',
  ordersBySocket: 'restart',
  logLevel: 'reload',
};

export interface ReloadDependencies {
  /** The one object that all parts of the agent read; exchanged in one step. */
  readonly config: AgentConfig;
  readonly log: Log;
  readonly setLogLevel?: ((level: LogLevel) => void) | undefined;
}

/** Applies all settings that can change at run time, or none if anything is wrong. */
export class Reload {
  readonly #deps: ReloadDependencies;
  readonly #turn = new Mutex();

  constructor(deps: ReloadDependencies) {
    this.#deps = deps;
  }

  async orLog(): Promise<void> {
    try {
      await this.read();
    } catch (err) {
      this.#deps.log.error({ err }, 'configuration rejected: the agent keeps its current one');
    }
  }

  /** GODWIT_CONFIG lists the faults of the file. `dryRun` applies nothing. */
  async read({ dryRun = false }: { readonly dryRun?: boolean } = {}): Promise<ReloadAnswer> {
    return this.#turn.run(async () => {
      const { config, log, setLogLevel } = this.#deps;
      const file = configFileOf(config);
      if (file === undefined) {
        const facts = { file: 'the configuration', what: 'lies in no file' };
        throw godwitError('GODWIT_CONFIG', facts);
      }
      const next = loadAgentConfig(file);
      const warnings = await checked(file, next, config);
      const changed = settingsThatDiffer(config, next);
      const of = (when: 'reload' | 'restart'): string[] =>
        changed.filter(([name]) => WHEN[name] === when).map(([, path]) => path);
      const answer = { file, taken: of('reload'), restart: of('restart'), warnings };
      if (!dryRun) {
        take(config, next);
        setLogLevel?.(config.logLevel);
        log.info({ file, taken: answer.taken, restart: answer.restart }, 'configuration reloaded');
      }
      return {
        ...answer,
        taken: answer.taken.slice(0, MAX_SETTINGS),
        restart: answer.restart.slice(0, MAX_SETTINGS),
      };
    });
  }
}

/** Faults that the agent can work with; GODWIT_CONFIG if it would not start. */
async function checked(
  file: string,
  next: AgentConfig,
  { stateDir }: AgentConfig,
): Promise<Pick<ConfigProblem, 'what' | 'hint'>[]> {
  // The present stateDir shows that this agent itself holds the port.
  const problems = await configProblems({ ...next, stateDir, pkiDir: pkiDirOf(next) });
  return thatLetItStart(file, problems).slice(0, MAX_SETTINGS);
}

const NAMES = Object.keys(WHEN) as (keyof AgentConfig)[];

function take(config: AgentConfig, next: AgentConfig): void {
  const names = NAMES.filter((name) => WHEN[name] === 'reload');
  Object.assign(config, Object.fromEntries(names.map((name) => [name, next[name]])));
}

/** Each with the name of its section. Pure. */
export function settingsThatDiffer(
  one: AgentConfig,
  other: AgentConfig,
): [keyof AgentConfig, string][] {
  return NAMES.flatMap((name) =>
    differences(one[name], other[name], [name]).map((path): [keyof AgentConfig, string] => [
      name,
      path.join('.'),
    ]),
  );
}

function differences(one: unknown, other: unknown, path: readonly string[]): (readonly string[])[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (!isRecord(one) || !isRecord(other)) return [path];
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return keys.flatMap((key) => differences(one[key], other[key], [...path, key]));
}
