import { defined } from '../../protocol/defined.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { MigrationState } from './qmp/answers.ts';
import { throttleOf } from './stream.ts';

export function sampleOf(state: MigrationState, memoryBytes: number): MemorySample {
  const ram = state.ram;
  const pageBytes = ram?.['page-size'] ?? 4096;
  const whole = (value: number | undefined): number => Math.max(0, Math.round(value ?? 0));
  const expected = state['expected-downtime'];
  const downtime = state.downtime;
  const throttle = throttleOf(state['cpu-throttle-percentage']);
  const ended = state.status === 'completed';
  return {
    totalBytes: whole(ram?.total ?? memoryBytes),
    remainingBytes: whole(ram?.remaining),
    transferredBytes: whole(ram?.transferred),
    skippedBytes: whole(((ram?.duplicate ?? 0) + (ram?.skipped ?? 0)) * pageBytes),
    ...(ram?.normal === undefined ? {} : { contentBytes: whole(ram.normal * pageBytes) }),
    // In Mbit/s over QEMU's last interval.
    rate: whole(((ram?.mbps ?? 0) * 1e6) / 8),
    dirtyRate: whole((ram?.['dirty-pages-rate'] ?? 0) * pageBytes),
    round: whole(ram?.['dirty-sync-count']),
    totalMs: state['total-time'] ?? 0,
    pageRequests: whole(ram?.['postcopy-requests']),
    ...defined({ throttlePercent: throttle }),
    ...(expected === undefined || ended ? {} : { expectedDowntimeMs: expected }),
    ...(downtime === undefined || !ended ? {} : { downtimeMs: downtime }),
  };
}
