import { existsSync } from 'node:fs';
import path from 'node:path';
import { initCa, issue, storeCredentials } from '../src/pki/authority.ts';

export interface LabPkiHost {
  readonly name: string;
  /** Where its agent looks: gets ca.crt, host.crt and host.key. */
  readonly pkiDir: string;
  readonly addresses: readonly string[];
}

/**
 * Certificates for a lab: a CA in DIR/ca, one pair per host, and an operator's in DIR/operator (ca.crt, operator.crt,
 * operator.key). A CA that is there already is kept, so hosts can be added later.
 */
export async function issueLabPki(
  directory: string,
  hosts: readonly LabPkiHost[],
): Promise<{ caDir: string; operatorDir: string }> {
  const caDir = path.join(directory, 'ca');
  const operatorDir = path.join(directory, 'operator');
  if (!existsSync(path.join(caDir, 'ca.key'))) await initCa(caDir);
  for (const { name, pkiDir, addresses } of hosts) {
    storeCredentials(pkiDir, await issue({ caDir, name, role: 'agent', addresses }));
  }
  if (!existsSync(path.join(operatorDir, 'operator.crt'))) {
    const operator = await issue({ caDir, name: 'operator', role: 'operator', addresses: [] });
    storeCredentials(operatorDir, operator, 'operator');
  }
  return { caDir, operatorDir };
}
