import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writePrivate } from '../../pki/files.ts';
import { toGodwitError } from '../../errors.ts';
import { checkList, FLEET_FILE, type Fleet, type PeerAddress } from '../../host/fleet.ts';
import type { Log } from '../../log.ts';
import { agentContract } from '../../protocol/contract.ts';
import { newerList, type KnownList } from '../../protocol/peer/fleet.ts';
import { client } from '../../rpc/client.ts';
import type { Credentials } from '../../rpc/tls.ts';

const PULL_MS = 15_000;
const ANSWER_MS = 5000;

export interface ListPullDependencies {
  readonly fleet: Fleet;
  readonly credentials: Credentials;
  readonly stateDir: string;
  readonly pkiDir: string;
  readonly log: Log;
  readonly up: () => readonly { readonly name: string; readonly place: PeerAddress }[];
}

/** Accepts only lists signed by the CA. */
export class ListPull {
  readonly #deps: ListPullDependencies;
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  constructor(deps: ListPullDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), PULL_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async look(): Promise<void> {
    const { credentials, log, pkiDir, stateDir } = this.#deps;
    const up = this.#deps.up();
    const asked = up[this.#turn++ % Math.max(1, up.length)];
    if (asked === undefined) return;
    const { name: expectedName, place } = asked;
    const asking = client(agentContract, { address: place.address, credentials, expectedName });
    try {
      const known = this.#known();
      const query = { after: known?.list.number ?? 0 };
      const { signed } = await asking.api.newerList({ query }, { deadlineMs: ANSWER_MS });
      if (signed === undefined) return;
      const offered = checkList(signed, readFileSync(path.join(pkiDir, 'ca.crt'), 'utf8'));
      if (newerList(known, offered) !== offered) return;
      writePrivate(path.join(stateDir, FLEET_FILE), `${JSON.stringify(offered.signed)}\n`);
      log.info({ number: offered.list.number }, 'newer fleet list received');
    } catch (thrown) {
      log.debug(
        { error: toGodwitError(thrown), host: expectedName },
        'fleet list not received from a host',
      );
    } finally {
      asking.close();
    }
  }

  #known(): KnownList | undefined {
    try {
      return this.#deps.fleet.known();
    } catch {
      return undefined;
    }
  }
}
