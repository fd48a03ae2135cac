import { runController } from '../controller/main.ts';
import { runByConfig } from './by-config.ts';

await runByConfig(
  'controller --config FILE [--database sqlite:PATH]',
  (configFile, { database }) => runController(configFile, database),
  ['database'],
);
