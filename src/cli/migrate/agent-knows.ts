import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { Endpoint } from '../connection/agent-set.ts';

const description = z.object({
  components: z.object({
    schemas: z.object({
      MigrationRequest: z.object({ properties: z.record(z.string(), z.unknown()) }),
    }),
  }),
});

/** Fields that an agent must not ignore, because it would do more than requested, with their flags. */
const MUST_BE_KNOWN = {
  rehearse: '--rehearse',
  notBefore: '--not-before',
  whenQuiet: '--when',
  noticeMs: '--notice',
  returnIfUnhealthy: '--return-if-unhealthy',
  unplug: '--unplug',
  plug: '--plug',
  balloon: '--balloon',
} as const satisfies Partial<Record<keyof MigrationRequest, string>>;

/** An agent of an earlier build drops unknown fields. GODWIT_CAPABILITY if that would do harm. */
export async function mustKnow({ api }: Endpoint, body: MigrationRequest): Promise<void> {
  const asked = Object.entries(MUST_BE_KNOWN).filter(
    ([field]) => body[field as keyof typeof MUST_BE_KNOWN] !== undefined,
  );
  if (asked.length === 0) return;
  const { data } = description.safeParse(await api.openapi());
  const known = data?.components.schemas.MigrationRequest.properties ?? {};
  for (const [field, what] of asked) {
    if (Object.hasOwn(known, field)) continue;
    const reason = "the agent of the guest's host has an earlier build";
    const hint = 'Upgrade Godwit on that host.';
    throw godwitError('GODWIT_CAPABILITY', { what, reason }, { hint });
  }
}
