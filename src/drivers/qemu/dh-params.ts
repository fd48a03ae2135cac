import { getDiffieHellman } from 'node:crypto';

/**
 * The 2048-bit group 14 of RFC 3526 as a PEM file. TLS 1.3 over elliptic curves never uses it, but a QEMU
 * server that finds none makes one first, which takes a second or two before it can listen.
 */
export function diffieHellmanPem(): string {
  const group = getDiffieHellman('modp14');
  const body = Buffer.concat([integer(group.getPrime()), integer(group.getGenerator())]);
  const lines =
    tagged(0x30, body)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN DH PARAMETERS-----', ...lines, '-----END DH PARAMETERS-----', ''].join('\n');
}

/** A DER integer: a leading zero keeps it positive. */
function integer(value: Buffer): Buffer {
  const positive = (value[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), value]) : value;
  return tagged(0x02, positive);
}

function tagged(tag: number, body: Buffer): Buffer {
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}
