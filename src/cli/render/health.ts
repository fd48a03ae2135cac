import type { ListedHost } from '../../protocol/controller/fleet.ts';
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

/** What a person noted of a host, and what the health policy makes of it. */
export function illText({ name, ill, maintenance }: ListedHost): string {
  const note = maintenance === undefined ? '' : `${name}: maintenance: ${printable(maintenance)}\n`;
  if (ill === undefined) return note;
  const next =
    ill.wish === undefined
      ? `\`godwit drain ${name}\` would empty it`
      : `${ill.wish} was asked for, to empty it`;
  return `${note}${name}: ill since ${ill.since}: ${printable(ill.words)}; ${next}\n`;
}
