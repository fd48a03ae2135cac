import type { AgentConfig } from '../../config.ts';
import { pkiDirOf, type Fleet } from '../../host/fleet.ts';
import type { Log } from '../../log.ts';
import type { FleetList } from '../../protocol/peer/fleet.ts';
import type { Peers } from '../peers.ts';
import { dropEarlier, replaceSecret, secretId, secretIn } from '../../pki/site-secret.ts';

export interface SecretDependencies {
  readonly config: AgentConfig;
  readonly fleet: Pick<Fleet, 'list'>;
  readonly peers: Pick<Peers, 'siteSecret'>;
  readonly log: Log;
}

/** Keeps this host's site secret at the one that the fleet's list names. Who hands it on is not trusted: the list is. */
export class SecretFetch {
  readonly #deps: SecretDependencies;
  #isAsking = false;

  constructor(deps: SecretDependencies) {
    this.#deps = deps;
  }

  /** What this host has, where it is the one that is asked for. */
  named(id: string): { secret?: string } {
    const secret = this.#own();
    return secret !== undefined && secretId(secret) === id ? { secret } : {};
  }

  /**
   * Fetches the one that the list names, where this host has another: from the CA beside it, from the host that holds the
   * CA, or from `name`. Never rejects; whoever has none to give is asked again with the next list or look.
   */
  async look(name?: string): Promise<void> {
    const { config, log } = this.#deps;
    // Where an administrator says which file it is, it is the administrator's.
    if (this.#isAsking || config.cache.secretFile !== undefined) return;
    this.#isAsking = true;
    try {
      dropEarlier(pkiDirOf(config), Date.now());
      const wanted = this.#wanted();
      if (wanted === undefined) return;
      const found = await this.#find(wanted.id, [wanted.holder, name]);
      if (found === undefined) return;
      replaceSecret(pkiDirOf(config), found);
      log.info({ id: wanted.id }, 'site secret changed');
    } catch (err) {
      log.warn({ err }, 'site secret could not be stored');
    } finally {
      this.#isAsking = false;
    }
  }

  #wanted(): { id: string; holder: string | undefined } | undefined {
    const list = this.#list();
    if (list?.secret === undefined) return undefined;
    const own = this.#own();
    if (own !== undefined && secretId(own) === list.secret) return undefined;
    return { id: list.secret, holder: list.holder };
  }

  async #find(id: string, names: readonly (string | undefined)[]): Promise<string | undefined> {
    const { config, peers, log } = this.#deps;
    const beside = config.caDir === undefined ? undefined : secretIn(config.caDir);
    if (beside !== undefined && secretId(beside) === id) return beside;
    for (const name of new Set(names)) {
      if (name === undefined || name === config.name) continue;
      try {
        const { secret } = await peers.siteSecret(name, id);
        if (secret !== undefined && secretId(secret) === id) return secret;
      } catch (err) {
        log.debug({ err, name }, 'site secret not received from another host');
      }
    }
    return undefined;
  }

  /** One that is damaged is said elsewhere. */
  #list(): FleetList | undefined {
    try {
      return this.#deps.fleet.list();
    } catch {
      return undefined;
    }
  }

  #own(): string | undefined {
    return secretIn(pkiDirOf(this.#deps.config));
  }
}
