import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { onlyDriver } from '../../agent/host/managers.ts';
import { initCa, issue, storeCredentials } from '../../pki/authority.ts';
import { writePrivate } from '../../pki/files.ts';
import { parseAgentConfig, type AgentConfig } from '../../config.ts';
import type { ManagerPlace } from '../../protocol/controller/managers.ts';
import { defined } from '../../protocol/defined.ts';
import { PasswordDirectory } from './password-directory.ts';
import { resolved } from './references.ts';

const CERTIFICATE_DAYS = 3650;

/**
 * Files of one manager's agent below the controller's stateDir. Its password is only in memory (0600), because its
 * movers read it too, and outlive agent and controller.
 */
export class AgentDirectory {
  readonly name: string;
  readonly dir: string;
  readonly #passwords: PasswordDirectory;
  readonly #secrets: string;
  readonly #controllerDir: string;
  readonly #placeOf: (manager: string) => ManagerPlace | undefined;
  readonly #isTrial: boolean;

  constructor(
    controllerDir: string,
    name: string,
    placeOf: (manager: string) => ManagerPlace | undefined = () => undefined,
    isTrial = false,
  ) {
    this.name = name;
    this.#controllerDir = controllerDir;
    this.#placeOf = placeOf;
    this.dir = path.join(controllerDir, 'managers', name);
    this.#isTrial = isTrial;
    this.#passwords = new PasswordDirectory(controllerDir);
    this.#secrets = path.join(this.#passwords.path, isTrial ? `.${name}` : name);
  }

  /** A directory with a separate password and CA in memory, to test a manager before anything is written. */
  get trial(): AgentDirectory {
    return new AgentDirectory(this.#controllerDir, this.name, this.#placeOf, true);
  }

  get config(): string {
    return path.join(this.dir, 'agent.json');
  }

  get log(): string {
    return path.join(this.dir, 'agent.log');
  }

  get socket(): string {
    return path.join(this.dir, 'agent.sock');
  }

  /** The agent's configuration; GODWIT_CONFIG if the driver refuses it. */
  configOf(place: ManagerPlace, port = 1): AgentConfig {
    const { driver, options: all } = place;
    // Only this agent probes its guests, and only if their addresses are configured.
    const { probe = 'off', ...options } = all;
    const others = resolved(options, (other) => this.#other(other));
    const section = { ...others, ...this.#reached(place) };
    const config = {
      name: this.name,
      address: `127.0.0.1:${port}`,
      stateDir: this.dir,
      // Excludes hypervisors on the controller's own host.
      drivers: onlyDriver(driver, section),
      network: { probe },
      ordersBySocket: true,
    };
    return parseAgentConfig(this.config, JSON.stringify(config));
  }

  #reached({ url, user, fingerprint, ca }: ManagerPlace): object {
    return {
      url,
      user,
      passwordFile: path.join(this.#secrets, 'password'),
      ...defined({ fingerprint }),
      ...(ca === undefined ? {} : { ca: this.#ca }),
    };
  }

  get #ca(): string {
    return path.join(this.#isTrial ? this.#secrets : this.dir, 'manager-ca.crt');
  }

  #other(name: string): object | undefined {
    const place = this.#placeOf(name);
    if (place === undefined) return undefined;
    const reached = new AgentDirectory(this.#controllerDir, name).#reached(place);
    const { hosts } = place.options;
    return { ...defined({ hosts }), ...reached };
  }

  /** Writes all files of the agent. Its certificate comes from a discarded CA, so no other peer has one. */
  async write(place: ManagerPlace, password: string): Promise<void> {
    this.writeAccess(place, password);
    const config = this.configOf(place, await freePort());
    const caDir = path.join(this.dir, 'ca');
    rmSync(caDir, { recursive: true, force: true });
    try {
      await initCa(caDir);
      const { name } = this;
      const addresses = ['127.0.0.1'];
      const issued = await issue({ caDir, name, role: 'agent', addresses, days: CERTIFICATE_DAYS });
      storeCredentials(path.join(this.dir, 'pki'), issued);
    } finally {
      rmSync(caDir, { recursive: true, force: true });
    }
    const { name, address, stateDir, drivers } = config;
    const network = { probe: config.network.probe };
    const said = { name, address, stateDir, drivers, network, ordersBySocket: true };
    writePrivate(this.config, `${JSON.stringify(said, undefined, 2)}\n`);
  }

  writeAccess({ ca }: ManagerPlace, password: string): void {
    this.writeSecret(password);
    if (ca !== undefined) writePrivate(this.#ca, ca);
  }

  /** GODWIT_CONFIG if this host has no file system in memory. */
  writeSecret(password: string): void {
    this.#passwords.make();
    writePrivate(path.join(this.#secrets, 'password'), `${password}\n`);
  }

  remove(): void {
    this.removeSecret();
    rmSync(this.dir, { recursive: true, force: true });
  }

  removeSecret(): void {
    this.#passwords.remove(path.basename(this.#secrets));
  }
}

/** The listener is unused: the controller uses the socket. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
