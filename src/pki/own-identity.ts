import { X509Certificate } from 'node:crypto';
import { godwitError } from '../errors.ts';
import { identityOf, type Identity } from '../rpc/tls.ts';

/** Who a certificate of our own is for; GODWIT_PKI when that cannot be known from it. */
export function ownIdentity(file: string, pem: string): Identity {
  let subject: Record<string, string>;
  try {
    // One line each: CN=a, OU=agent, O=Godwit.
    const lines = new X509Certificate(pem).subject.split('\n').map((line) => line.split('=', 2));
    subject = Object.fromEntries(lines.map(([name = '', value = '']) => [name, value]));
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `${file} is not a certificate` }, { cause });
  }
  const identity = identityOf({ CN: subject['CN'], OU: subject['OU'] });
  if (typeof identity !== 'string') return identity;
  throw godwitError('GODWIT_PKI', { what: `${file}: ${identity}` });
}
