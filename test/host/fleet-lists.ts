import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { signedText, type fleetList, type SignedList } from '../../src/protocol/peer/fleet.ts';

type FleetListFields = Partial<z.input<typeof fleetList>>;

/** A list that is valid for an hour from now. */
export function listWith(given: FleetListFields): z.input<typeof fleetList> {
  const now = Date.now();
  return {
    version: 1,
    number: 1,
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 3_600_000).toISOString(),
    members: [],
    removed: [],
    revoked: [],
    ...given,
  };
}

/** Signs with a CA's key what it is given, whether it is a list or not. */
export function signed(caDir: string, given: object | string): SignedList {
  const list = typeof given === 'string' ? given : JSON.stringify(given);
  const key = readFileSync(path.join(caDir, 'ca.key'), 'utf8');
  const signature = sign('sha256', Buffer.from(signedText({ list })), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  return { list, signature: signature.toString('base64url') };
}
