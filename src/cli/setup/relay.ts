import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadRelayConfig } from '../../relay/config.ts';
import { SMALL_ENVIRONMENT, SMALL_FLAGS } from '../../system/processes/small-process.ts';
import type { relaySpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** Runs a relay in the foreground: replaces this process, without the CLI's modules. */
export const run: Run<typeof relaySpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? '');
  // Loaded for its errors only, which are reported as in every verb.
  loadRelayConfig(file);
  const program = fileURLToPath(new URL('../../bin/relay.ts', import.meta.url));
  const argv = [process.execPath, ...SMALL_FLAGS, ...process.execArgv, program, '--config', file];
  const all = { ...process.env, ...SMALL_ENVIRONMENT };
  const environment = Object.entries(all).filter(([, value]) => value !== undefined);
  process.execve?.(process.execPath, argv, Object.fromEntries(environment));
};
