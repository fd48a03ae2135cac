import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock, type Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { sessionId } from './greeting.ts';
import type { LinkSession } from './link-session.ts';
import { sharesOf, type Claim } from './shares.ts';

export interface Budget {
  /** Shared by all movers of the host; created if missing. */
  readonly directory: string;
  readonly bytesPerS: number;
}

const rate = z.number().nonnegative().max(1e15);
const claimSchema = z.object({ bytesPerS: rate, isHeldBack: z.boolean(), most: rate.optional() });

const ROUND_MS = 1000;
/** A claim that is not renewed for this long belongs to a dead mover. */
const STALE_MS = 10_000;
const MAX_CLAIMS = 256;
const MAX_CLAIM_BYTES = 1024;

/**
 * Keeps a session within its share of the host's budget until its end. Each session has a file in one directory,
 * renewed once a second, so the division needs no coordinator and survives any mover.
 */
export async function keepShare(
  session: LinkSession,
  budget: Budget,
  log: Log,
  clock: Clock = systemClock,
): Promise<void> {
  const { directory } = budget;
  const file = path.join(directory, `${session.name.session}.json`);
  let sent = session.counters.sentBytes;
  while (!session.over.aborted) {
    const now = session.counters.sentBytes;
    const claim = claimOf(session, ((now - sent) * 1000) / ROUND_MS);
    sent = now;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await publish(file, claim);
      const claims = [...(await others(directory, claim.id)), claim];
      const share = sharesOf(budget.bytesPerS, claims).get(claim.id) ?? 0;
      if (share > 0) session.setShare(share);
    } catch (error) {
      // A full disk must not stop a migration: it keeps its earlier rate.
      log.warn({ error }, 'session cannot report its traffic to others');
    }
    await clock.sleep(ROUND_MS, session.over).catch(() => undefined);
  }
  await Promise.allSettled([rm(file, { force: true }), rm(`${file}.new`, { force: true })]);
}

function claimOf(session: LinkSession, bytesPerS: number): Claim {
  return {
    id: session.name.session,
    bytesPerS,
    isHeldBack: session.wasHeldBack(),
    mostBytesPerS: session.capBytesPerS,
  };
}

async function publish(file: string, claim: Claim): Promise<void> {
  const { bytesPerS, isHeldBack, mostBytesPerS: most } = claim;
  await writeFile(`${file}.new`, JSON.stringify({ bytesPerS, isHeldBack, most }), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Other sessions' claims; removes files of dead sessions. */
async function others(directory: string, own: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const name of await readdir(directory)) {
    const [id = '', ...rest] = name.split('.');
    if (id === own || !sessionId.safeParse(id).success) continue;
    const file = path.join(directory, name);
    const found = await stat(file).catch(() => undefined);
    if (found === undefined) continue;
    if (Date.now() - found.mtimeMs > STALE_MS) await rm(file, { force: true });
    else if (rest.join('.') === 'json' && found.size <= MAX_CLAIM_BYTES) {
      const claim = await readClaim(id, file);
      if (claim !== undefined) claims.push(claim);
    }
    if (claims.length >= MAX_CLAIMS) break;
  }
  return claims;
}

async function readClaim(id: string, file: string): Promise<Claim | undefined> {
  try {
    const { most, ...claim } = claimSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    return { id, ...claim, mostBytesPerS: most };
  } catch {
    // It has just ended, or the file is foreign.
    return undefined;
  }
}
