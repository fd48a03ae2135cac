import path from 'node:path';
import { CONTROLLER_STEM, filesOf, readAuthorities } from '../../host/credentials.ts';
import { takeAuthorities } from '../../pki/authorities.ts';
import { writePrivate } from '../../pki/files.ts';
import { bundleText } from '../../rpc/trust-bundle.ts';
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
      if (signed === undefined) return this.#takeAuthorities(known);
      const offered = checkList(signed, bundleText(readAuthorities(pkiDir)));
      if (newerList(known, offered) !== offered) return;
      writePrivate(path.join(stateDir, FLEET_FILE), `${JSON.stringify(offered.signed)}\n`);
      log.info({ number: offered.list.number }, 'newer fleet list received');
      this.#takeAuthorities(offered);
    } catch (thrown) {
      log.debug(
        { error: toGodwitError(thrown), host: expectedName },
        'fleet list not received from a host',
      );
    } finally {
      asking.close();
    }
  }

  /** Trusts the CAs that the newest list names. */
  #takeAuthorities(known: KnownList | undefined): void {
    const { pkiDir, log } = this.#deps;
    if (known === undefined) return;
    if (takeAuthorities(pkiDir, known, filesOf(CONTROLLER_STEM)))
      log.info({ number: known.list.number }, 'trusted CAs changed');
  }

  /** One that is damaged gives way to any that the CA signed; who calls is refused meanwhile, and learns why. */
  #known(): KnownList | undefined {
    try {
      return this.#deps.fleet.known();
    } catch {
      return undefined;
    }
  }
}
