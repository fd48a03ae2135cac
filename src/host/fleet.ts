import { verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock, type Clock } from '../clock.ts';
import { configFileOf, loadAgentConfig, type AgentConfig } from '../config.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import {
  combinedPeers,
  newerList,
  parseList,
  refusalOf,
  signedList,
  signedText,
  type FleetList,
  type KnownList,
  type ShownCertificate,
} from '../protocol/peer/fleet.ts';
import { parseBundle } from '../rpc/trust-bundle.ts';
import { liveFile } from '../system/files/live-file.ts';

/** In stateDir: the newest list that other hosts handed on. Beside the certificates: the one that came with them. */
export const FLEET_FILE = 'fleet.json';

export type PeerAddress = AgentConfig['peers'][string];

/** Whose fleet it is, and where its list lies. */
export type FleetPlace = Pick<AgentConfig, 'name' | 'stateDir' | 'pkiDir' | 'peers'>;

/**
 * Who belongs to this host's fleet, now: its newest list and the `peers` of its configuration, both as they lie on disk.
 * An agent and its movers look at the same files, so what one of them learned holds for all at once.
 */
export class Fleet {
  readonly #self: string;
  readonly #known: () => KnownList | undefined;
  readonly #peers: () => AgentConfig['peers'];
  readonly #clock: Pick<Clock, 'wallMs'>;

  constructor(config: FleetPlace, clock: Pick<Clock, 'wallMs'> = systemClock) {
    this.#self = config.name;
    this.#clock = clock;
    const caFile = path.join(pkiDirOf(config), 'ca.crt');
    const listIn = (directory: string) =>
      liveFile(path.join(directory, FLEET_FILE), (text) =>
        listOnDisk(path.join(directory, FLEET_FILE), text, caFile),
      );
    const kept = listIn(config.stateDir);
    const given = listIn(pkiDirOf(config));
    this.#known = () => newerList(kept(), given());
    const file = configFileOf(config);
    const live = file === undefined ? file : liveFile(file, () => loadAgentConfig(file).peers);
    this.#peers = () => live?.() ?? config.peers;
  }

  /** The newest list; undefined where this host has never had one. GODWIT_LIST_DAMAGED when what lies there is none. */
  known(): KnownList | undefined {
    return this.#known();
  }

  list(): FleetList | undefined {
    return this.known()?.list;
  }

  /** The other hosts and where they are reached: those of the configuration, and those of the list. */
  peers(): Record<string, PeerAddress> {
    return combinedPeers(this.#self, this.list(), this.#peers());
  }

  /** Why the holder of a certificate of our CA has no right here at this moment; undefined where it has. */
  refuses(shown: ShownCertificate): GodwitError | undefined {
    let list: FleetList | undefined;
    try {
      list = this.list();
    } catch (thrown) {
      // What was revoked cannot be read: nobody is let in on a guess.
      return thrown as GodwitError;
    }
    const peers = namesOf(this.#peers());
    return refusalOf(shown, { self: this.#self, list, peers }, this.#clock.wallMs());
  }
}

const names = new WeakMap<object, ReadonlySet<string>>();

/** Asked with every request: of thousands of hosts the set is made once. */
function namesOf(peers: AgentConfig['peers']): ReadonlySet<string> {
  let known = names.get(peers);
  if (known === undefined) names.set(peers, (known = new Set(Object.keys(peers))));
  return known;
}

/** Where a host's certificates lie. */
export function pkiDirOf(config: Pick<AgentConfig, 'pkiDir' | 'stateDir'>): string {
  return config.pkiDir ?? path.join(config.stateDir, 'pki');
}

function listOnDisk(file: string, text: string, caFile: string): KnownList {
  try {
    return readList(text, readFileSync(caFile, 'utf8'));
  } catch (cause) {
    const why = (cause as Error).message;
    throw godwitError('GODWIT_LIST_DAMAGED', { file, why }, { cause });
  }
}

/** A list as it lies in a file, checked with the CAs' certificates (PEM); GODWIT_PKI says what is wrong with it. */
export function readList(text: string, ca: string): KnownList {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw notAList('it is not JSON');
  }
  const parsed = signedList.safeParse(json);
  if (!parsed.success) throw notAList('it has no list and signature');
  return checkList(parsed.data, ca);
}

/** A list with what it was signed as; GODWIT_PKI if none of these CAs signed it, or it is no list. */
export function checkList(signed: { list: string; signature: string }, ca: string): KnownList {
  const signature = Buffer.from(signed.signature, 'base64url');
  const text = Buffer.from(signedText(signed));
  const signer = parseBundle(ca).find(({ certificate: { publicKey: key } }) =>
    verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, signature),
  );
  if (signer === undefined) throw notAList('it is not signed by our CA');
  const list = parseList(signed.list);
  if (typeof list === 'string') throw notAList(list);
  const { authorities } = list;
  // A host that took such CAs could not read the list any more.
  if (authorities !== undefined && !isAmong(signer.fingerprint, authorities))
    throw notAList('the CA that signed it is not among the CAs that it names');
  return { list, signed };
}

function isAmong(fingerprint: string, authorities: readonly string[]): boolean {
  const named = parseBundle(authorities.join('\n'), 'the CAs in the fleet’s list');
  return named.some((each) => each.fingerprint === fingerprint);
}

function notAList(why: string): GodwitError {
  const hint =
    'Remove the file fleet.json of this host: its agent gets the list anew from the other hosts.';
  return godwitError('GODWIT_PKI', { what: `the fleet’s list cannot be used: ${why}` }, { hint });
}
