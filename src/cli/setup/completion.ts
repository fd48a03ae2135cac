import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { guestName, hostName, migrationId } from '../../protocol/names.ts';
import { completables } from '../completion/completion-words.ts';
import type { Context } from '../context.ts';
import { contextName, readContexts } from '../connection/fleet-contexts.ts';
import { askAny, type AgentSet } from '../connection/agent-set.ts';
import { allGuests } from '../guests/fleet-guests.ts';
import { listMigrations } from '../migrate/fleet-migrations.ts';
import type { completionSpec } from './specs.ts';
import type { Run, Verb, VerbGroup } from '../verb.ts';

/** A shell blocks for this time. */
const NAMES_DEADLINE_MS = 1000;
const MAX_NAMES = 500;
const SAFE = {
  guest: guestName,
  host: hostName,
  migration: migrationId,
  context: contextName,
};
type NameKind = keyof typeof SAFE;

export function completionOf(table: readonly (Verb | VerbGroup)[]): Run<typeof completionSpec> {
  return async (input, context) => {
    const { names } = input.flags;
    if (names !== undefined) return printNames(context, names);
    const { shell } = input.args;
    if (shell === undefined) {
      throw godwitError(
        'GODWIT_USAGE',
        { what: 'godwit completion needs the name of a shell' },
        { hint: 'Choose bash or zsh; see `godwit completion --help`.' },
      );
    }
    const { verbs, groups } = await completables(table);
    const make =
      shell === 'bash'
        ? (await import('../completion/completion-bash.ts')).bashScript
        : (await import('../completion/completion-zsh.ts')).zshScript;
    return context.out.write(make(verbs, groups));
  };
}

/** Prints names, one per line. Silent on failure, because it runs while the user types. */
async function printNames(context: Context, kind: NameKind): Promise<void> {
  let fleet: AgentSet | undefined;
  try {
    await withDeadline('the list of names', NAMES_DEADLINE_MS, undefined, async () => {
      let found: string[];
      if (kind === 'context') found = Object.keys(readContexts(context.env).contexts);
      else {
        fleet = await context.connect({});
        found = await lookUp(fleet, kind);
      }
      const safe = SAFE[kind];
      // The shell splits and expands its input, so only well-formed names may reach it.
      const names = found.filter((name) => safe.safeParse(name).success).slice(0, MAX_NAMES);
      context.out.write(names.map((name) => `${name}\n`).join(''));
    });
  } catch {
    // No completion is a valid result.
  } finally {
    fleet?.close();
  }
}

async function lookUp(fleet: AgentSet, kind: Exclude<NameKind, 'context'>): Promise<string[]> {
  switch (kind) {
    case 'guest': {
      const { items } = await allGuests(fleet);
      return [...new Set(items.map(({ name }) => name))];
    }
    case 'host':
      return (await askAny(fleet, ({ api }) => api.hosts())).hosts.map(({ name }) => name);
    case 'migration':
      return (await listMigrations(fleet, 50)).items.map(({ id }) => id);
  }
}
