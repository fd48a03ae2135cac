import { godwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import {
  protects,
  settingNames,
  settingWords,
  type PortSetting,
} from '../../protocol/port-settings.ts';
import { refusal, warn, type NamedCheck } from './check.ts';

/**
 * Checks that the destination has judged every setting of the guest's ports. An earlier build ignores unknown
 * settings, and the guest would lose them. Pure.
 */
export function judgeUnjudgedSettings(
  to: string,
  networks: readonly NicNetwork[] = [],
  judged: Readonly<Record<string, readonly string[]>> = {},
): NamedCheck[] {
  return networks.flatMap((nic) => {
    const { id, attachment } = nic;
    const settings = 'settings' in attachment ? (attachment.settings ?? {}) : {};
    const unjudged = ownSettings(nic).filter((name) => judged[id]?.includes(name) !== true);
    if (unjudged.length === 0) return [];
    const what = unjudged
      .map((name) => (name === 'rules' || name === 'limits' ? name : settingWords(name, settings)))
      .join(', ');
    const reason = `${to} runs a build that does not carry it over`;
    const hint = `Upgrade Godwit on ${to}.`;
    const isGuarded = unjudged.some(
      (name) => name === 'rules' || (name !== 'limits' && protects(name)),
    );
    if (!isGuarded) {
      return [warn('port-settings', `${id}: ${what} stays behind: ${reason}`, hint, 'both')];
    }
    const facts = { what: `to keep ${what} of the port of ${id}`, reason };
    return [refusal('port-settings', godwitError('GODWIT_CAPABILITY', facts, { hint }), 'both')];
  });
}

export function ownSettings(nic: NicNetwork): (PortSetting | 'rules' | 'limits')[] {
  const { attachment, rules = [], limits = [] } = nic;
  return [
    ...('settings' in attachment ? settingNames(attachment.settings) : []),
    ...(rules.length === 0 ? [] : (['rules'] as const)),
    ...(limits.length === 0 ? [] : (['limits'] as const)),
  ];
}
