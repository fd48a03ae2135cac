import type { HostHealth } from '../../protocol/public/health.ts';
import { printable } from './style.ts';

/** A line for each thing that is amiss with a host's hardware; none for a host that is well. */
export function healthText(host: string, health: HostHealth | undefined): string {
  const lines = (health?.signals ?? []).map(
    ({ level, kind, part, words }) =>
      `${host}: ${level}: ${kind} ${printable(part)}: ${printable(words)}\n`,
  );
  return lines.join('');
}
