import { AGENT_ENVIRONMENT, MOVER_FLAGS, restartCompiled, restartSmall } from '../small-process.ts';
import { runByConfig } from './by-config.ts';

restartSmall(AGENT_ENVIRONMENT, MOVER_FLAGS);
const { runAgent } = await import('../agent/main.ts');
restartCompiled();

await runByConfig('agent --config FILE', runAgent);
