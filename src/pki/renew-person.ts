import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { filesOf, readPair } from '../host/credentials.ts';
import { agentContract } from '../protocol/contract.ts';
import { role } from '../protocol/route.ts';
import { client } from '../rpc/client.ts';
import { readPki } from './files.ts';
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
  const ca = readPki(path.join(directory, 'ca.crt'), 'It comes with the certificate.');
  const credentials = { ca, ...pair };
  const { api, close } = client(agentContract, { address, credentials, expectedName });
  try {
    const { certificate } = await api.renew({ body: { request } });
    if (certificate === undefined) dropPending(directory);
    else takeIntoUse(directory, certificate, files);
    const { validToDate } = new X509Certificate(certificate ?? pair.cert);
    const renewed = certificate !== undefined;
    return { ...identity, renewed, validUntil: validToDate.toISOString() };
  } finally {
    close();
  }
}
