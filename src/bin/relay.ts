import {
  resolveImportsDirectly,
  restartCompiled,
  restartSmall,
} from '../system/processes/small-process.ts';
import { runByConfig } from './by-config.ts';

restartSmall();
resolveImportsDirectly();
const { runRelay } = await import('../relay/main.ts');
restartCompiled();

await runByConfig('relay --config FILE', runRelay);
