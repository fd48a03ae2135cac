import {
  AGENT_ENVIRONMENT,
  UNOPTIMISED_FLAGS,
  resolveImportsDirectly,
  restartCompiled,
  restartSmall,
} from '../system/processes/small-process.ts';
import { runByConfig } from './by-config.ts';

restartSmall(AGENT_ENVIRONMENT, UNOPTIMISED_FLAGS);
resolveImportsDirectly();
const { runAgent } = await import('../agent/main.ts');
restartCompiled();

await runByConfig('agent --config FILE', runAgent);
