import { godwitError } from '../../errors.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import { refusal, type NamedCheck } from './check.ts';

/**
 * Checks that the destination handles requests for its devices (`--plug`). An earlier build would ignore them. Pure.
 */
export function judgePlugs(
  { to, settings }: { readonly to: string; readonly settings: Pick<MigrationSettings, 'plug'> },
  plugs: readonly string[] = [],
): NamedCheck[] {
  const unheard = (settings.plug ?? []).filter((name) => !plugs.includes(name));
  if (unheard.length === 0) return [];
  const reason = `${to} runs a build, or a driver, that plugs no devices in`;
  const hint = `Upgrade Godwit on ${to}, or leave the option out.`;
  const what = `--plug ${unheard.join(', ')}`;
  return [refusal('devices', godwitError('GODWIT_CAPABILITY', { what, reason }, { hint }), 'both')];
}
