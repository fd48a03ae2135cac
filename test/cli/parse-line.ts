import { readInput } from '../../src/cli/frame.ts';
import { buildProgram, type VerbInvocation } from '../../src/cli/program.ts';
import { TABLE_WITH_LAB } from '../../lab/cli/table.ts';
import { FakeContext } from './fake.ts';

/** The words of a command line, as a shell reads them; without its comment. */
export function words(line: string): string[] {
  const bare = line.replace(/(^|\s)#.*$/, '').trim();
  return [...bare.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** Rejects where the command line has no such verb, flag or value. */
export async function parse(argv: readonly string[]): Promise<void> {
  const chosen: VerbInvocation[] = [];
  const program = await buildProgram(argv, TABLE_WITH_LAB, new FakeContext(), (verb) =>
    chosen.push(verb),
  );
  await program.parseAsync([...argv], { from: 'user' });
  for (const each of chosen) readInput(each);
}
