import type { ListedHost } from '../protocol/controller/fleet.ts';
import type { HostHealth } from '../protocol/public/hosts/health.ts';
import { formatMoment } from '../protocol/quantity.ts';
import { printable } from './style.ts';

export function healthText(host: string, health: HostHealth | undefined): string {
  const lines = (health?.signals ?? []).map(
    ({ level, kind, part, words }) =>
      `${host}: ${level}: ${kind} ${printable(part)}: ${printable(words)}\n`,
  );
  return lines.join('');
}

export function illText({ name, ill, maintenance, excess }: ListedHost): string {
  const noted =
    maintenance === undefined ? '' : `${name}: maintenance: ${printable(maintenance)}\n`;
  const note =
    excess === undefined
      ? noted
      : `${noted}${name}: over its limit since ${formatMoment(excess.since)}: ${printable(excess.words)}\n`;
  if (ill === undefined) return note;
  const next =
    ill.request === undefined
      ? `\`godwit drain ${name}\` would empty it`
      : `${ill.request} was asked for, to empty it`;
  return `${note}${name}: ill since ${formatMoment(ill.since)}: ${printable(ill.words)}; ${next}\n`;
}
