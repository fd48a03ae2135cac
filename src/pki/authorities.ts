import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import {
  CA_FILE,
  HOST_FILES,
  readAuthorities,
  readPair,
  type PairFiles,
} from '../host/credentials.ts';
import { FLEET_FILE, readList } from '../host/fleet.ts';
import type { KnownList } from '../protocol/peer/fleet.ts';
import { bundleText, issuerAmong, parseBundle } from '../rpc/trust-bundle.ts';
import { writePrivate } from './files.ts';

/**
 * Makes the CAs that the newest fleet list names those of `directory`/ca.crt; true if that changed the file. `known` must
 * be checked with the CAs that the directory has now: nothing but their signature brings another CA in.
 * GODWIT_PKI, and nothing changed, if the certificate there is of none of them: its holder would lock itself out.
 */
export function takeAuthorities(
  directory: string,
  { list, signed }: KnownList,
  files: PairFiles = HOST_FILES,
): boolean {
  if (list.authorities === undefined) return false;
  const named = parseBundle(list.authorities.join('\n'), 'the CAs in the fleet’s list');
  const text = bundleText(named);
  if (bundleText(readAuthorities(directory)) === text) return false;
  const own = new X509Certificate(readPair(directory, files).cert);
  if (issuerAmong(named, own) === undefined) {
    const what = `the fleet removed the CA of ${path.join(directory, files.cert)}, which has no certificate of the new one`;
    const hint =
      'Move the certificate and its key away and let this host join again: `godwit invite`, `godwit join`.';
    throw godwitError('GODWIT_PKI', { what }, { hint });
  }
  // The list that came with the certificate may be signed by a CA that leaves: no process could read it any more.
  const file = path.join(directory, FLEET_FILE);
  if (existsSync(file) && !isReadable(file, text))
    writePrivate(file, `${JSON.stringify(signed)}\n`);
  writePrivate(path.join(directory, CA_FILE), text);
  return true;
}

function isReadable(file: string, ca: string): boolean {
  try {
    readList(readFileSync(file, 'utf8'), ca);
    return true;
  } catch {
    return false;
  }
}
