import {
  CONTROLLER_ENVIRONMENT,
  CONTROLLER_FLAGS,
  resolveImportsDirectly,
  restartCompiled,
  restartSmall,
} from '../system/processes/small-process.ts';
import { runByConfig } from './by-config.ts';

restartSmall(CONTROLLER_ENVIRONMENT, CONTROLLER_FLAGS);
resolveImportsDirectly();
const { runController } = await import('../controller/main.ts');
restartCompiled();

await runByConfig(
  'controller --config FILE [--database sqlite:PATH]',
  (configFile, { database }) => runController(configFile, database),
  ['database'],
);
