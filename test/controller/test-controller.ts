import path from 'node:path';
import type { TestContext } from 'node:test';
import { issue, storeCredentials } from '../../src/agent/pki/authority.ts';
import { controllerConfig } from '../../src/controller/config.ts';
import type { ControllerConfig } from '../../src/controller/config.ts';
import { startController } from '../../src/controller/controller.ts';
import type { RunningController } from '../../src/controller/controller.ts';
import { silentLog } from '../../src/log.ts';
import type { Log } from '../../src/log.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client } from '../../src/rpc/client.ts';
import type { Api } from '../../src/rpc/client.ts';
import { tempDir } from '../rpc/test-contract.ts';

export interface Party {
  readonly controller: RunningController;
  readonly config: ControllerConfig;
  /** Over its unix socket. */
  readonly api: Api<typeof controllerContract>;
}

/** A controller of the CA in `caDir`, which ends with the test. */
export async function controllerOf(
  t: TestContext,
  caDir: string,
  given: Partial<ControllerConfig> = {},
  log: Log = silentLog,
  pages?: string,
): Promise<Party> {
  const stateDir = tempDir(t);
  const name = given.name ?? 'control';
  const config = controllerConfig.parse({ name, address: '127.0.0.1:0', stateDir, ...given });
  const addresses = ['127.0.0.1'];
  const issued = await issue({ caDir, name, role: 'controller', addresses });
  storeCredentials(path.join(config.stateDir, 'pki'), issued, 'controller');
  const controller = await startController({
    config,
    log,
    ...(pages === undefined ? {} : { pages }),
  });
  const speaking = client(controllerContract, { unix: controller.socket });
  t.after(async () => {
    speaking.close();
    await controller.close();
  });
  return { controller, config, api: speaking.api };
}
