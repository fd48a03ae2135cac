import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError, hasCode } from '../errors.ts';
import { filesOf, readAuthorities, readPair, type PairFiles } from '../host/credentials.ts';
import { checkList, FLEET_FILE, readList } from '../host/fleet.ts';
import { agentContract } from '../protocol/contract.ts';
import { role } from '../protocol/route.ts';
import type { SignedList } from '../protocol/peer/fleet.ts';
import { client } from '../rpc/client.ts';
import { bundleText } from '../rpc/trust-bundle.ts';
import { takeAuthorities } from './authorities.ts';
import { writePrivate } from './files.ts';
import { ownIdentity } from './own-identity.ts';
import { dropPending, pendingRequest, settlePair, takeIntoUse } from './pending.ts';

export interface PersonRenewed {
  readonly name: string;
  readonly role: string;
  /** False: less than half of its life is over, and the CA gives no other one yet. */
  readonly renewed: boolean;
  /** When the certificate that lies there now ends, ISO 8601. */
  readonly validUntil: string;
}

/**
 * Has a person’s certificate renewed, with a new key that does not leave the folder, by the agent at `address` that holds
 * the CA. An answer that was lost is asked for again with the same key. GODWIT_USAGE where the folder holds none of a
 * person; GODWIT_CERT_SUPERSEDED, GODWIT_CERT_REVOKED; GODWIT_PKI where that agent does not hold the CA.
 */
export async function renewPerson(
  directory: string,
  { address, name: expectedName }: { readonly address: string; readonly name: string },
): Promise<PersonRenewed> {
  const stem = [role.enum.operator, role.enum.viewer, role.enum.controller].find((each) =>
    existsSync(path.join(directory, `${each}.crt`)),
  );
  if (stem === undefined) {
    const hint =
      'Name the folder with operator.crt, viewer.crt or controller.crt. A host’s agent renews its own.';
    throw godwitError(
      'GODWIT_USAGE',
      { what: `${directory} has no person’s certificate` },
      { hint },
    );
  }
  const files = filesOf(stem);
  settlePair(directory, files);
  const pair = readPair(directory, files);
  const identity = ownIdentity(path.join(directory, files.cert), pair.cert);
  const request = await pendingRequest(directory, identity.name);
  const credentials = { ca: bundleText(readAuthorities(directory)), ...pair };
  const { api, close } = client(agentContract, { address, credentials, expectedName });
  try {
    const { signed } = await api
      .authorities({ query: { after: numberIn(directory) } })
      .catch((thrown: unknown) => {
        // An agent of an earlier build, which knows no rotation.
        if (hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) return { signed: undefined };
        throw thrown;
      });
    if (signed !== undefined) take(directory, signed, files);
    const trusts = readAuthorities(directory).map(({ fingerprint }) => fingerprint);
    const { certificate } = await api.renew({ body: { request, trusts } });
    if (certificate === undefined) dropPending(directory);
    else takeIntoUse(directory, certificate, files);
    const { validToDate } = new X509Certificate(certificate ?? pair.cert);
    const renewed = certificate !== undefined;
    return { ...identity, renewed, validUntil: validToDate.toISOString() };
  } finally {
    close();
  }
}

/**
 * The CAs that the list names become those of ca.crt. Any host may hand it out: only a list that a CA of now has signed is
 * taken, and none older than the list of before, so that a CA that was removed does not come back.
 */
function take(directory: string, signed: SignedList, files: PairFiles): void {
  const known = checkList(signed, bundleText(readAuthorities(directory)));
  if (known.list.authorities === undefined || known.list.number <= numberIn(directory)) return;
  takeAuthorities(directory, known, files);
  writePrivate(path.join(directory, FLEET_FILE), `${JSON.stringify(signed)}\n`);
}

/** The number of the list that came last; 0 if there is none, or none that can be used. */
function numberIn(directory: string): number {
  try {
    const text = readFileSync(path.join(directory, FLEET_FILE), 'utf8');
    return readList(text, bundleText(readAuthorities(directory))).list.number;
  } catch {
    return 0;
  }
}
