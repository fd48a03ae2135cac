import { AGENT_ENVIRONMENT, restartCompiled, restartSmall } from '../small-process.ts';
import { runByConfig } from './by-config.ts';

restartSmall(AGENT_ENVIRONMENT);
const { runAgent } = await import('../agent/main.ts');
restartCompiled();

await runByConfig('agent --config FILE', runAgent);
