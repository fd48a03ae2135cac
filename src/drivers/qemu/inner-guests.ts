import { z } from 'zod';
import { passes, warns, type Finding } from '../../migration/preflight/finding.ts';
import type { QmpClient } from './qmp/client.ts';
import type { GuestFacts } from './spec/facts.ts';

/** KVM's counters per processor: entries into a nested guest, and whether it is in one now. */
const COUNTERS = ['nested_run', 'guest_mode'];

const statistics = z
  .array(
    z.object({
      stats: z.array(z.object({ name: z.string().max(128), value: z.unknown() })).max(1024),
    }),
  )
  .max(4096);

/**
 * True if the guest has run a nested guest since its QEMU started. Undefined if KVM does not count it (before
 * Linux 5.14).
 */
export async function ranInner(
  client: Pick<QmpClient, 'request'>,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const providers = [{ provider: 'kvm', names: COUNTERS }];
  const answer = await client.request('query-stats', { target: 'vcpu', providers }, signal);
  const parsed = statistics.safeParse(answer.ok ? answer.value : undefined);
  const values = (parsed.data ?? []).flatMap(({ stats }) =>
    stats.filter(({ name }) => COUNTERS.includes(name)).map(({ value }) => value),
  );
  if (values.length === 0) return undefined;
  return values.some((value) => value === true || (typeof value === 'number' && value > 0));
}

/**
 * Linux's statements in "Running nested guests with KVM" (Documentation/virt/kvm/x86/running-nested-guests.rst,
 * 7.0). If a guest has vmx and its kernel cannot save this state, QEMU itself blocks the migration (check
 * `blocked`).
 */
const FATES = {
  vmx: 'Linux carries them along from version 5.3 on, where both hosts have it',
  svm: 'Linux’s documentation says of processors of AMD that the guest must not move while one of them runs',
} as const;
const HINT =
  'Shut its own guests down before the move (this warning stays: KVM counts on), or move it with --mode cold. If it is to run none, start it without this feature.';

/**
 * `ran`: result of `ranInner`. An emulated guest gets no finding, because QEMU emulates its nested guests too.
 * Pure.
 */
export function judgeInnerGuests(
  { accelerator, cpu }: Pick<GuestFacts, 'accelerator' | 'cpu'>,
  ran: boolean | undefined,
): Finding[] {
  if (accelerator !== 'kvm') return [];
  return (['vmx', 'svm'] as const)
    .filter((feature) => cpu.features.includes(feature))
    .map((feature) => {
      if (ran === false)
        return passes(
          `it may run guests of its own (${feature}), and has run none since its QEMU began`,
        );
      const runs =
        ran === true
          ? 'it runs guests of its own, or has run some since its QEMU began'
          : 'it may run guests of its own';
      const unknown = ran === true ? '' : ', and whether it does is not known';
      return warns(`${runs} (${feature})${unknown}: ${FATES[feature]}`, HINT);
    });
}
