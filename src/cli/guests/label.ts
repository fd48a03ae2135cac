import { godwitError } from '../../errors.ts';
import type { LabelsChange } from '../../protocol/labels.ts';
import { reachHost } from '../connection/agent-set.ts';
import { printJson } from '../context.ts';
import { findGuest } from './fleet-guests.ts';
import { printable } from '../../words/style.ts';
import type { labelSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof labelSpec> = async (input, context) => {
  const { guest: name, changes = [] } = input.args;
  const change = changeOf(changes);
  const fleet = await context.connect(input.connection);
  try {
    const { guest, home } = await findGuest(fleet, name);
    const asked = home ?? (await reachHost(fleet, guest.host));
    if (asked === undefined) {
      const facts = { peer: guest.host, address: guest.host, reason: 'no agent leads there' };
      throw godwitError('GODWIT_UNREACHABLE', facts);
    }
    const isRead = Object.keys(change.set).length + change.remove.length === 0;
    const labels = isRead
      ? (guest.labels ?? {})
      : (await asked.api.labelGuest({ params: { guest: guest.name }, body: change })).labels;
    if (input.json) return printJson(context, { guest: guest.name, labels });
    const lines = Object.entries(labels).map(([label, value]) => `${label}=${printable(value)}\n`);
    return context.out.write(lines.length === 0 ? 'no labels\n' : lines.join(''));
  } finally {
    fleet.close();
  }
};

/**
 * `NAME=VALUE` sets a label, `NAME-` removes it. GODWIT_USAGE for anything else; the agent validates names and values.
 */
function changeOf(words: readonly string[]): LabelsChange {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const word of words) {
    const at = word.indexOf('=');
    if (at > 0) set[word.slice(0, at)] = word.slice(at + 1);
    else if (at < 0 && word.length > 1 && word.endsWith('-')) remove.push(word.slice(0, -1));
    else {
      const hint = 'Write team=web to set a label, and team- to remove it.';
      throw godwitError('GODWIT_USAGE', { what: `no label: ${word.slice(0, 80)}` }, { hint });
    }
  }
  return { set, remove };
}
