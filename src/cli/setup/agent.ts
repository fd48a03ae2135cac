import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../config.ts';
import { AGENT_ENVIRONMENT, UNOPTIMISED_FLAGS } from '../../system/processes/small-process.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import type { agentSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** Runs this host's agent in the foreground: replaces this process, without the CLI's modules. */
export const run: Run<typeof agentSpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? OWN_PLACES.config);
  // Loaded for its errors only, which are reported as in every verb.
  loadAgentConfig(file);
  const program = fileURLToPath(new URL('../../bin/agent.ts', import.meta.url));
  const flags = [...UNOPTIMISED_FLAGS, ...process.execArgv];
  process.execve?.(
    process.execPath,
    [process.execPath, ...flags, program, '--config', file],
    Object.fromEntries(
      Object.entries({ ...process.env, ...AGENT_ENVIRONMENT }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
  );
};
