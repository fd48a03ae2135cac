import path from 'node:path';
import type { TestContext } from 'node:test';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { controllerConfig, type ControllerConfig } from '../../src/controller/config.ts';
import { startController, type RunningController } from '../../src/controller/controller.ts';
import { silentLog, type Log } from '../../src/log.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client, type Api } from '../../src/rpc/client.ts';
import { fleet, guest } from '../agent/samples.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';

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

/** A controller that follows two hosts: `a` with web1, and web2 that cannot move; and `b`, to which guests can come. */
export async function controllerOfTwo(t: TestContext, given: Partial<ControllerConfig> = {}) {
  const { host, caDir } = await fleet(t);
  const b = await host('b');
  const a = await host('a', {
    guests: () => [guest('web1'), guest('web2', { unmovable: ['device usb0 is passed through'] })],
    peers: { b: { address: b.agent.address } },
  });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const party = await controllerOf(t, caDir, { hosts, ...given });
  await until('the hosts to be followed', 20_000, async () => {
    const { hosts: all } = await party.api.hosts();
    return all.length === 2 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  return { a, b, caDir, hosts, ...party };
}
