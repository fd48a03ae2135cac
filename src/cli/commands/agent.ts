import { godwitError } from '../../errors.ts';
import type { agentSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

/** The agent of this host, in the foreground, until it is told to end. */
export const run: Run<typeof agentSpec> = async (input) => {
  const { config } = input.flags;
  if (config === undefined) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: 'godwit agent needs --config FILE' },
      { hint: 'docs/operating.md shows a configuration.' },
    );
  }
  const { runAgent } = await import('../../agent/main.ts');
  await runAgent(config);
  // It has closed what it serves; connections to hypervisors may keep the process alive.
  process.exit(0);
};
