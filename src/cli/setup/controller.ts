import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadControllerConfig, withDatabase } from '../../controller/config.ts';
import type { controllerSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** Runs a controller in the foreground: replaces this process, without the CLI's modules. */
export const run: Run<typeof controllerSpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? '');
  const { database } = input.flags;
  // Loaded for its errors only, which are reported as in every verb.
  withDatabase(loadControllerConfig(file), database);
  const program = fileURLToPath(new URL('../../bin/controller.ts', import.meta.url));
  const given = database === undefined ? [] : ['--database', database];
  const argv = [...process.execArgv, program, '--config', file, ...given];
  const environment = Object.entries(process.env).filter(([, value]) => value !== undefined);
  process.execve?.(process.execPath, [process.execPath, ...argv], Object.fromEntries(environment));
};
